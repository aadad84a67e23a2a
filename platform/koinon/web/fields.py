"""The fields of bodies, answers and parameters, taken apart for the page that shows the interface."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from koinon.http.examples import Components, Schema, choices, resolved

DEEPEST = 5
"""How far fields are shown inside fields: nothing goes deeper, and nothing that refers to itself hangs the page."""


class Kind(msgspec.Struct, frozen=True):
    """What a field holds: a format, a type of JSON, or an object's name; or a list of that."""

    name: str
    is_list: bool = False


class Bound(msgspec.Struct, frozen=True):
    """From how much to how much: of the value itself, or of its characters or items."""

    unit: str
    least: int | None
    most: int | None


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field, or a parameter, which stands in a `place`: path, query or header.

    `parts` are the objects that it may hold: (name, text, fields).
    """

    name: str
    kinds: list[Kind]
    nullable: bool
    required: bool
    text: str
    bounds: list[Bound]
    values: list[str]
    default: str | None
    pattern: str | None
    parts: list[tuple[str, str, list["Field"]]]
    place: str = ""


def fields_of(schema: Schema, components: Components, depth: int = 0) -> list[Field]:
    """Return the fields of an object; none for anything else."""
    schema = resolved(schema, components)
    needed = schema.get("required", ())
    return [
        _field(name, part, components, depth, required=name in needed)
        for name, part in schema.get("properties", {}).items()
    ]


def parameters_of(parameters: Sequence[Mapping[str, Any]]) -> list[Field]:
    """Return the parameters of an operation, as fields."""
    return [
        msgspec.structs.replace(
            _field(each["name"], each["schema"], {}, 0, required=each.get("required", False)),
            text=each.get("description", ""),
            place=each["in"],
            nullable=False,
        )
        for each in parameters
    ]


def _field(name: str, schema: Schema, components: Components, depth: int, *, required: bool) -> Field:
    some, nullable = choices(schema)
    held = [resolved(each, components) for each in some]
    items = [resolved(each.get("items", each), components) for each in held]
    parts = [
        (each.get("title", ""), each.get("description", ""), fields_of(each, components, depth + 1))
        for each in items
        if each.get("properties") and depth < DEEPEST
    ]
    every = [schema, *held]
    default = schema.get("default")
    return Field(
        name=name,
        kinds=list(dict.fromkeys(kind for each, item in zip(held, items, strict=True) for kind in _kinds(each, item))),
        nullable=nullable,
        required=required,
        text=schema.get("description") or ("" if parts else held[0].get("description", "")),
        bounds=list(dict.fromkeys(bound for each in every for bound in _bounds(each))),
        values=list(dict.fromkeys(value for each in [*every, *items] for value in _values(each))),
        default=None if default in (None, [], "") else msgspec.json.encode(default).decode().strip('"'),
        pattern=next((each["pattern"] for each in every if "pattern" in each), None),
        parts=parts,
    )


def _kinds(schema: Schema, item: Schema) -> Iterator[Kind]:
    if item.get("properties"):
        names = [item.get("title", "object")]
    elif "format" in item:
        names = [item["format"]]
    else:
        kinds = item.get("type", "string" if "enum" in item else "any")
        names = [each for each in kinds if each != "null"] if isinstance(kinds, list) else [kinds]
    yield from (Kind(name, schema.get("type") == "array") for name in names)


def _values(schema: Schema) -> Iterator[str]:
    yield from (str(each) for each in schema.get("enum", ()) if each is not None)
    if "const" in schema:
        yield str(schema["const"])


def _bounds(schema: Schema) -> Iterator[Bound]:
    least = schema["exclusiveMinimum"] + 1 if "exclusiveMinimum" in schema else schema.get("minimum")
    for unit, first, last in (
        ("value", least, schema.get("maximum")),
        ("characters", schema.get("minLength"), schema.get("maxLength")),
        ("items", schema.get("minItems"), schema.get("maxItems")),
    ):
        if first is not None or last is not None:
            yield Bound(unit, first, last)
