"""The OpenAPI 3.1 document, made of the same rows and types that route and check requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from engine import VERSION

from .operations import JSON, Answer, Asked, Nothing, Operation, Reply, Resource
from .problems import MEDIA_TYPE, TITLES, ProblemDocument

_REFERENCE: Final = "#/components/schemas/{name}"
_ANY: Final = (400, 406, 421, 431, 500)
"""Statuses that every operation may answer with."""
_WITH_BODY: Final = (408, 413, 415, 422)
_MUTATION: Final = (403,)
_PATH_SCHEMA: Final = {"type": "integer", "format": "int64", "minimum": 1}


def description(others: Sequence[Resource]) -> Resource:
    """The resource that describes the others, and itself."""
    answer = Answer(200, "This document.", dict[str, Any])

    async def document(_asked: Asked[Nothing, None]) -> Reply:
        return Reply(200, text)

    row: Operation[Nothing, None] = Operation(
        name="document",
        method="GET",
        path="/openapi.json",
        summary="What this API can do, as OpenAPI 3.1",
        call=document,
        query=Nothing,
        answers=(answer,),
    )
    resource = Resource("openapi", (row,))
    text = msgspec.Raw(msgspec.json.encode(openapi([*others, resource])))
    return resource


def openapi(resources: Sequence[Resource]) -> dict[str, Any]:
    """Describe resources as an OpenAPI 3.1 document."""
    rows = [(resource, row) for resource in resources for row in resource.operations]
    types: list[Any] = [ProblemDocument]
    for _, row in rows:
        types += [row.query, *(answer.body for answer in row.answers if answer.body is not None)]
        types += [body] if (body := _shown_body(row)) is not None else []
    distinct = list({repr(found): found for found in types}.values())
    references, schemas = msgspec.json.schema_components(distinct, ref_template=_REFERENCE)
    schema_of = dict(zip(map(repr, distinct), references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    statuses: set[int] = set()
    for resource, row in rows:
        problems = _problems(row)
        statuses.update(problems)
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(
            resource, row, problems, schema_of, schemas
        )
    shapes = {row.query.__name__ for _, row in rows}
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "creche",
            "version": VERSION,
            "summary": "Minds blocking and polling tasks",
            "description": (
                "Times are RFC 3339 in UTC, durations milliseconds. Errors are problem documents "
                "(RFC 9457). Bodies are I-JSON in UTF-8, nested up to 64 deep; where a name "
                "stands twice in an object the last one counts. Unknown fields and parameters are "
                "refused."
            ),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {name: body for name, body in schemas.items() if name not in shapes},
            "responses": {str(status): _problem_response(status) for status in sorted(statuses)},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "In the store's folder; not asked for on the control socket.",
                }
            },
        },
    }


def _shown_body(row: Operation[Any, Any]) -> Any:
    return row.body if row.shown_body is None else row.shown_body


def _problems(row: Operation[Any, Any]) -> list[int]:
    found = {*_ANY, *row.problems}
    if not row.open:
        found.add(401)
    if row.method != "GET":
        found.update(_MUTATION)
    if row.body is not None:
        found.update(_WITH_BODY)
    return sorted(found)


def _operation(
    resource: Resource,
    row: Operation[Any, Any],
    problems: Sequence[int],
    schema_of: dict[str, dict[str, Any]],
    schemas: dict[str, Any],
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": f"{resource.name}_{row.name}",
        "tags": [resource.name],
        "summary": row.summary,
        "parameters": [
            *(_parameter("path", place, _PATH_SCHEMA, required=True) for place in row.places),
            *_query_parameters(schemas[row.query.__name__]),
            *(
                {**_parameter("header", name, {"type": "string"}), "description": words}
                for name, words in row.headers.items()
            ),
        ],
        "responses": {
            **{str(answer.status): _answer(answer, schema_of) for answer in row.answers},
            **{str(s): {"$ref": f"#/components/responses/{s}"} for s in problems},
        },
    }
    if row.body is not None:
        found["requestBody"] = {
            "required": row.empty_body is None,
            "content": {JSON: {"schema": schema_of[repr(_shown_body(row))]}},
        }
    if row.open:
        found["security"] = []
    return found


def _query_parameters(shape: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, described in shape["properties"].items():
        schema = dict(described)
        words = schema.pop("description", None)
        parameter = _parameter("query", name, schema, required=name in shape.get("required", ()))
        found.append({**parameter, "description": words} if words else parameter)
    return found


def _parameter(
    place: str, name: str, schema: dict[str, Any], *, required: bool = False
) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required, "schema": schema}


def _answer(answer: Answer, schema_of: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"description": answer.description}
    if answer.headers:
        found["headers"] = {
            name: {"description": words, "schema": {"type": "string"}}
            for name, words in answer.headers.items()
        }
    if answer.body is not None:
        found["content"] = {answer.media: {"schema": schema_of[repr(answer.body)]}}
    return found


def _problem_response(status: int) -> dict[str, Any]:
    return {
        "description": TITLES[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(name="ProblemDocument")}}},
    }
