"""The OpenAPI document: valid, complete, and nothing else than what is routed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from engine import Engine
from tests.web.kinds import registry
from tests.web.served import serving
from web import Access, create_app
from web.openapi import openapi
from web.rows import resources


@pytest.fixture
def engine() -> Engine:
    return Engine(kinds=registry())


@pytest.fixture
def document(engine: Engine) -> dict[str, Any]:
    return openapi(resources(engine))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method.upper(), operation


def everything(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from everything(part)


def test_the_document_holds_every_route_and_no_other(
    engine: Engine, document: dict[str, Any]
) -> None:
    """Each method of each rule of the app stands in the document, and the other way round."""
    app = create_app(engine, access=Access())
    routed = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
    }
    assert routed == {(path, method) for path, method, _ in operations(document)}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """Each $ref names a component, and each component is referred to."""
    used = {node["$ref"] for node in everything(document) if "$ref" in node}
    there = {
        f"#/components/{section}/{name}"
        for section in ("schemas", "responses")
        for name in document["components"][section]
    }
    assert used == there


def test_every_operation_is_whole(document: dict[str, Any]) -> None:
    """An operation has a name of its own, its path's parameters, and every answer a description."""
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for path, method, operation in operations(document):
        parameters = operation["parameters"]
        in_path = {each["name"] for each in parameters if each["in"] == "path"}
        assert set(re.findall(r"\{(\w+)\}", path)) == in_path
        assert all(each["required"] for each in parameters if each["in"] == "path")
        assert ("requestBody" in operation) == (method == "POST")
        assert any(status.startswith("2") for status in operation["responses"])
        for answer in operation["responses"].values():
            assert ("$ref" in answer) != ("description" in answer)


def test_only_the_open_operation_needs_no_token(document: dict[str, Any]) -> None:
    """Every operation but /healthz inherits the token and may answer 401."""
    for path, _, operation in operations(document):
        assert (path == "/healthz") == (operation.get("security") == [])
        assert (path != "/healthz") == ("401" in operation["responses"])


def test_the_limits_are_documented(document: dict[str, Any]) -> None:
    """What is checked on the way in can be read in the document."""
    (limit,) = [
        each["schema"]
        for each in document["paths"]["/v1/tasks"]["get"]["parameters"]
        if each["name"] == "limit"
    ]
    assert {"type": "integer", "minimum": 1, "maximum": 200, "default": 50} == limit
    assert False is document["components"]["schemas"]["SubmitBody"]["additionalProperties"]


async def test_the_document_is_served(document: dict[str, Any]) -> None:
    """/openapi.json is the document."""
    async with serving() as served:
        assert document == (await served.client.get("/openapi.json")).json()
