"""OpenAPI 3.1, made from the endpoints themselves, so that it says nothing that they do not do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from leyden.panel.api import Endpoint, Params
from leyden.panel.errors import ErrorAnswer

_TEMPLATE: Final = "#/components/schemas/{name}"
_PATH_PARAM: Final = re.compile(r"<(\w+)>")
_ERRORS: Final = {
    "400": "A parameter is missing, unknown or out of range",
    "401": "No valid token or session",
    "403": "Not allowed, or not asked for by the panel's own page",
    "404": "No such thing",
    "405": "Not by this method",
    "413": "Too long",
    "429": "Too many wrong tokens or passwords, or too many intents",
    "500": "The panel failed; its log says how",
    "503": "The runtime does not answer",
    "507": "What was to be kept could not be: the disk takes nothing",
}


def document(endpoints: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """Return the description of the endpoints."""
    types = [endpoint.answer for endpoint in endpoints] + [ErrorAnswer]
    bodies = [endpoint.params for endpoint in endpoints if _has_body(endpoint)]
    _, components = msgspec.json.schema_components([*types, *bodies], ref_template=_TEMPLATE)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        path = _PATH_PARAM.sub(r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Leyden", "version": version, "license": {"name": "MIT"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {code: _response(words, ErrorAnswer) for code, words in _ERRORS.items()},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}],
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": _operation_id(endpoint),
        "parameters": _path_parameters(endpoint),
        "responses": {"200": _response(endpoint.summary, endpoint.answer)}
        | {code: {"$ref": f"#/components/responses/{code}"} for code in _ERRORS},
    }
    if endpoint.open:
        operation["security"] = []
    if _has_body(endpoint):
        operation["requestBody"] = {"required": True, "content": _json(endpoint.params)}
    else:
        operation["parameters"] += _query_parameters(endpoint.params)
    return operation


def _has_body(endpoint: Endpoint) -> bool:
    return endpoint.method != "GET" and endpoint.params is not Params


def _operation_id(endpoint: Endpoint) -> str:
    words = re.findall(r"[a-z0-9]+", endpoint.path.removeprefix("/api/v1"))
    return "_".join([endpoint.method.lower(), *words])


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PATH_PARAM.findall(endpoint.path)
    ]


def _query_parameters(params: type[Params]) -> list[dict[str, Any]]:
    _, components = msgspec.json.schema_components([params], ref_template=_TEMPLATE)
    schema = components[params.__name__]
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": rule.pop("description", ""),
            "schema": rule,
        }
        for name, rule in schema.get("properties", {}).items()
    ]


def _response(words: str, answer: Any) -> dict[str, Any]:
    return {"description": words, "content": _json(answer)}


def _json(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_TEMPLATE)
    return {"application/json": {"schema": schema}}
