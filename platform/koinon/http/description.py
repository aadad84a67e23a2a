"""The interface's description as it is served: the framework's, with texts, examples and exact bounds put in."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from http import HTTPStatus
from inspect import cleandoc
from typing import Any

import msgspec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import OpenAPI
from litestar.openapi.spec import Schema as SchemaObject
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from koinon.http.examples import Components, NoExample, Schema, choices, example_of, over, resolved
from koinon.http.openapi import JSON

REFUSED = re.compile(r"^- `([a-z0-9-]+)`: (.+)$", re.MULTILINE)
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")


class StructTexts(OpenAPISchemaPlugin):
    """Says of every struct what its docstring says; its schema is the framework's own."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Tell whether a field holds a struct."""
        return not field_definition.is_union and field_definition.is_subclass_of(msgspec.Struct)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> SchemaObject:
        """Return a struct's schema with its text."""
        made: SchemaObject = next(
            plugin.to_openapi_schema(field_definition, schema_creator)
            for plugin in schema_creator.plugins
            if plugin is not self and schema_creator.plugin_supports_field(plugin, field_definition)
        )
        made.description = cleandoc((field_definition.origin or field_definition.annotation).__doc__ or "") or None
        return made


class Description(OpenAPI):
    """An OpenAPI document that completes itself when it is written."""

    def to_schema(self) -> dict[str, Any]:
        """Return the whole document."""
        return completed(super().to_schema())


@dataclass
class DescriptionConfig(OpenAPIConfig):
    """The framework's settings of the description, which make ours."""

    def to_openapi_schema(self) -> OpenAPI:
        """Return the document to begin with."""
        made = super().to_openapi_schema()
        return Description(**{each.name: getattr(made, each.name) for each in fields(made)})


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """Return a description with an example of every body and answer in JSON, and texts of all answers."""
    made: dict[str, Any] = _exact(document)
    components = made.get("components", {}).get("schemas", {})
    known = dict(_known(components))
    for operation in operations(made):
        for parameter in operation.get("parameters", ()):
            _name_parameter(parameter, known)
        for content in operation.get("requestBody", {}).get("content", {}).values():
            _show(content, components, whole=False)
        for status, answer in operation["responses"].items():
            if int(status) < HTTPStatus.BAD_REQUEST:
                _complete_answer(int(status), answer, components)
    return made


def refused_codes(description: str) -> list[tuple[str, str]]:
    """Return (code, title) of each refusal that an answer's description lists, as `refusals` writes it."""
    return REFUSED.findall(description)


def operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every operation."""
    for item in document.get("paths", {}).values():
        yield from item.values()


def _exact(value: Any) -> Any:
    """Return a part of the document without what the framework gets wrong.

    It writes integers' bounds as floats, a tuple's `...` as a second kind of item, and texts with their indents.
    """
    if isinstance(value, list | tuple):
        return [_exact(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {name: _exact(each) for name, each in value.items()}
    made |= {name: int(made[name]) for name in BOUNDS if isinstance(made.get(name), float) and made[name].is_integer()}
    if isinstance(made.get("description"), str):
        made["description"] = cleandoc(made["description"])
    match made.get("items"):
        case {"oneOf": [item, {**rest}]} if not rest:
            made["items"] = item
    return made


def _known(components: Components) -> Iterator[tuple[str, Schema]]:
    """Yield (name, schema) of the ids that fields hold: one name is one thing, in a body and in a path."""
    for component in components.values():
        for name, part in component.get("properties", {}).items():
            if any(isinstance(each, str) and "_" in each for each in part.get("examples", ())):
                yield name, part


def _name_parameter(parameter: dict[str, Any], known: Mapping[str, Schema]) -> None:
    """Say of a path's or query's id what the field of that name says."""
    schema = known.get(parameter["name"].removesuffix("_id"))
    if schema is not None and parameter["in"] != "header":
        parameter.setdefault("example", schema["examples"][0])
        if "description" in schema:
            parameter.setdefault("description", schema["description"])


def _show(content: dict[str, Any], components: Components, *, whole: bool) -> None:
    """Put an example beside a schema, if its fields say enough; what the operation says itself stands over theirs."""
    own: Any = {}
    for each in content.pop("examples", {}).values():
        own = msgspec.json.decode(each["value"])
    try:
        content["example"] = over(example_of(content.get("schema", {}), components, whole=whole), own)
    except NoExample:
        if own:
            content["example"] = own


def _complete_answer(status: int, answer: dict[str, Any], components: Components) -> None:
    if status == HTTPStatus.NO_CONTENT:
        answer.pop("content", None)
    for media_type, content in answer.get("content", {}).items():
        if media_type == JSON:
            _show(content, components, whole=True)
        if answer.get("description") == HTTPStatus(status).description:
            text = resolved(choices(content.get("schema", {}))[0][0], components).get("description", "Done.")
            answer["description"] = text.partition("\n\n")[0].replace("\n", " ")
    if answer.get("description") == HTTPStatus(status).description:
        answer["description"] = "Done."
