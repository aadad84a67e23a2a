"""Examples of whole bodies, put together from those of their fields, so that nothing is written twice.

A field says its own in its type (`Meta(examples=…)`); what it holds may say it for it.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

Schema = Mapping[str, Any]
Components = Mapping[str, Schema]

REFERENCE = "#/components/schemas/"

BY_FORMAT = {"date-time": "2026-03-02T09:00:00Z", "date": "2026-03-02"}
"""What a field of a format shows when it says nothing: the moment in which all the examples happen."""


class NoExample(LookupError):
    """A field that cannot be left out says no example; its name is the message."""


def example_of(schema: Schema, components: Components, *, whole: bool) -> Any:
    """Return an example of a schema: what it says itself, or what its parts say; raises NoExample.

    Of what may be left out, a request shows what says an example; with `whole`, as answers are, also every default.
    """
    found = _own(schema, components, whole=whole)
    if found is msgspec.UNSET:
        raise NoExample(schema.get("title", ""))
    return found


def resolved(schema: Schema, components: Components) -> Schema:
    """Return what a schema refers to, or itself."""
    return components[schema["$ref"].removeprefix(REFERENCE)] if "$ref" in schema else schema


def choices(schema: Schema) -> tuple[list[Schema], bool]:
    """Return the schemas that a value may have, and whether it may be null beside them."""
    for key in ("oneOf", "anyOf", "allOf"):
        if key in schema:
            some = [each for each in schema[key] if each.get("type") != "null"]
            return some, len(some) < len(schema[key])
    kinds = schema.get("type")
    return [schema], isinstance(kinds, list) and "null" in kinds


def _own(schema: Schema, components: Components, *, whole: bool) -> Any:
    """Return the example of a schema, UNSET when it has none."""
    schema = resolved(schema, components)
    some, nullable = choices(schema)
    if schema.get("examples"):
        found = schema["examples"][0]
    elif nullable and not _is_object(some[0], components):
        found = None
    elif some and some[0] is not schema:
        found = _own(some[0], components, whole=whole)
    elif "enum" in schema or "const" in schema:
        found = schema.get("const", schema.get("enum", [None])[0])
    else:
        found = _by_type(schema, components, whole=whole)
    return found


def _by_type(schema: Schema, components: Components, *, whole: bool) -> Any:
    match schema.get("type"):
        case "object":
            return _object(schema, components, whole=whole)
        case "array":
            item = _own(schema.get("items", {}), components, whole=whole)
            return item if item is msgspec.UNSET else [item]
        case "boolean":
            return True
        case _:
            return BY_FORMAT.get(schema.get("format", ""), msgspec.UNSET)


def _object(schema: Schema, components: Components, *, whole: bool) -> Any:
    if not schema.get("properties"):
        return msgspec.UNSET
    made = {}
    for name, part in schema["properties"].items():
        if name in schema.get("required", ()) or _is_list_of_objects(part, components):
            try:
                made[name] = example_of(part, components, whole=whole)
            except NoExample as lacking:
                raise NoExample(f"{schema.get('title', '')}.{name} {lacking}") from None
        elif said := part.get("examples") or choices(part)[0][0].get("examples"):
            made[name] = said[0]
        elif whole and "default" in part:
            made[name] = part["default"]
        elif whole and choices(part)[1]:
            made[name] = None
    return made


def _is_object(schema: Schema, components: Components) -> bool:
    return resolved(schema, components).get("type") == "object"


def _is_list_of_objects(schema: Schema, components: Components) -> bool:
    """Tell whether a field that may be left out holds a list of objects and has no default of its own to show."""
    return "default" not in schema and _is_object(schema.get("items", {}), components)


def over(found: Any, own: Any) -> Any:
    """Return what was found with the members of an object's own put over it, and so on inside."""
    if isinstance(found, dict) and isinstance(own, dict):
        return found | {name: over(found.get(name), value) for name, value in own.items()}
    if isinstance(found, list) and isinstance(own, list) and len(found) == len(own):
        return [over(*pair) for pair in zip(found, own, strict=True)]
    return own
