"""The API does what its OpenAPI document says, and errors are problem documents everywhere."""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from cbir.collection.point import point_id
from cbir.serve.problems import Problem
from tests.serve.conftest import made_app

#: What the document cannot say is 422: that a query is one of four, or what a condition means; and 415: no picture.
ACCEPTED = ["2xx", "3xx", "401", "403", "404", "415", "422"]
#: Names that are there, in half of the calls; made up ones hardly ever are.
REAL = {"name": "digits", "collection": "digits", "id": point_id("digits", "digits:database/7")}


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_the_api_does_what_its_document_says(digits: Path, mode: GenerationMode):
    app = made_app(write_token="token")
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    schema.config.checks.positive_data_acceptance.expected_statuses = ACCEPTED
    operations = [operation.ok() for operation in schema.get_all_operations()]
    called = {
        operation.label: _called(operation, mode)
        for operation in operations
        if mode is GenerationMode.POSITIVE or _can_be_wrong(operation)
    }
    app.state.cbir.close()
    assert len(operations) >= 25
    assert sum(called.values()) > (80 if mode is GenerationMode.POSITIVE else 50)


def _called(operation: Any, mode: GenerationMode) -> int:
    """Call an operation with what is generated for it, and check what it answers; return how often."""
    calls = 0

    @settings(
        max_examples=7,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
    def call(case: Any, real: bool) -> None:
        nonlocal calls
        if real and mode is GenerationMode.POSITIVE:
            case.path_parameters.update({name: REAL[name] for name in case.path_parameters or {} if name in REAL})
        case.call_and_validate()
        calls += 1

    call()
    return calls


def _can_be_wrong(operation: Any) -> bool:
    """Tell whether something can be said to it that its document forbids; any text may be a part of its path."""
    names = [parameter.definition["schema"] for parameter in operation.path_parameters]
    free = all(set(schema) == {"type", "title"} and schema["type"] == "string" for schema in names)
    return bool(operation.body or operation.query or operation.headers) or not free


def test_every_operation_is_described_with_examples(client: TestClient):
    document = client.get("/api/openapi.json").json()
    assert document["info"]["version"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
            problems = {status: each for status, each in operation["responses"].items() if status >= "400"}
            assert problems, (method, path)
            for status, each in problems.items():
                (content,) = each["content"].items()
                assert content[0] == "application/problem+json", (method, path, status)
                assert Problem(**content[1]["example"]).status == int(status)
            for kind, body in operation.get("requestBody", {}).get("content", {}).items():
                if kind == "application/json":
                    assert body["schema"]["examples"], (method, path)
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_people_who_ask_for_what_is_nowhere_get_a_page(client: TestClient):
    for path, kind in (("/nowhere", "text/html"), ("/api/nowhere", "application/problem+json")):
        answer = client.get(path, headers={"Accept": "text/html,*/*"})
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (404, kind)
        assert "there is nothing at this address" in answer.text


def test_a_query_that_says_nothing_is_told_in_plain_words(client: TestClient):
    answer = client.post("/api/collections/digits/search", json={"k": 3})
    assert answer.json()["detail"] == "body: give id, upload, vector, text, or like"


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("GET", "/nowhere", {}, 404),
        ("GET", "/api/collections/digits/nothing", {}, 404),
        ("GET", "/static/nothing.js", {}, 404),
        ("PUT", "/api/collections", {}, 405),
        ("GET", "/api/collections/digits/search", {}, 405),
        ("POST", "/api/collections/digits/search", {"content": b"x"}, 415),
        ("POST", "/api/collections/digits/search", {"json": []}, 422),
        (
            "POST",
            "/api/collections/digits/search",
            {"content": b"{", "headers": {"Content-Type": "application/json"}},
            422,
        ),
        ("POST", "/api/collections/digits/search", {"json": {"id": "7"}}, 404),
        ("POST", "/api/collections/digits/search", {"json": {"id": "\0", "box": [0, 0, 1, 1]}}, 404),
        ("POST", "/api/collections/digits/search", {"json": {"vector": [0]}}, 422),
        ("POST", "/api/collections/digits/search", {"json": {"vector": [1e39] * 128}}, 422),
        ("POST", "/api/collections/digits/search", {"json": {"upload": "nothing"}}, 404),
        ("POST", "/api/collections/digits/search", {"json": {"text": "words"}}, 422),
        ("POST", "/api/collections/digits/search", {"json": {"id": REAL["id"], "where": ["label="]}}, 200),
        ("POST", "/api/uploads", {"content": b"no picture"}, 415),
        ("POST", "/api/collections/digits/points", {"files": {"image": b"x"}}, 403),
    ],
)
def test_errors_are_problem_documents_everywhere(
    client: TestClient, method: str, path: str, sent: dict[str, Any], status: int
):
    answer = client.request(method, path, **sent)
    assert answer.status_code == status, answer.text
    if status == 200:
        return
    assert answer.headers["content-type"] == "application/problem+json"
    found = Problem(**answer.json())
    assert (found.status, found.detail != found.title) == (status, True)
    assert (status == 405) == ("allow" in answer.headers)
