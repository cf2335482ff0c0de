"""The OpenAPI document: every route is in it, it is valid, and its page needs nothing from elsewhere."""

import asyncio
import re

import pytest
from openapi_spec_validator import validate

from api.app import create_app
from api.openapi import openapi_document, routes
from api.operations import OPERATIONS
from deltaforge.control.options import ServeOptions
from deltaforge.control.service import PipelineService
from deltaforge.storage.memory import MemoryStorage


@pytest.fixture(scope="module")
def app():
    return create_app(PipelineService(MemoryStorage(), ServeOptions()))


@pytest.fixture(scope="module")
def document(app):
    return openapi_document(app)


def test_every_route_is_described_and_nothing_else(app):
    assert {f"{method} {path}" for method, path, _ in routes(app)} == set(OPERATIONS)


def test_document_is_valid(document):
    validate(document)


def test_document_has_the_models_of_documents(document):
    body = document["paths"]["/pipelines"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/PipelineSpec"}
    assert document["components"]["schemas"]["PipelineSpec"]["required"] == ["metadata", "spec"]


def test_operations_are_named_once_and_say_what_they_do(document):
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert [operation["operationId"] for operation in operations if not operation["summary"]] == []


def get(app, path):
    async def answer():
        found = await app.test_client().get(path)
        return found, await found.get_data(as_text=True)

    return asyncio.run(answer())


def test_document_is_served(app, document):
    answer, _ = get(app, "/openapi.json")
    assert asyncio.run(answer.get_json()) == document


def test_page_has_every_operation_and_loads_nothing(app, document):
    answer, text = get(app, "/docs")
    assert answer.content_type == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert (
        re.findall(r"<script|\bsrc=|@import|url\(|https?://(?!json-schema\.org)", text.partition("<h2>Schemas</h2>")[0])
        == []
    )
    ids = re.findall(r'<details id="([^"]+)"', text)
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert set(ids) == {o["operationId"] for o in operations} | set(document["components"]["schemas"])
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)
