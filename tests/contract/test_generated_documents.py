"""The documents in docs/contracts are what the code says, and valid by their own standards."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from shopfloor_contracts import documents
from shopfloor_contracts.batches import BATCH, MAX_BATCH_BYTES, batch_topic
from shopfloor_contracts.events import DURABLE_KINDS, Kind
from shopfloor_contracts.topics import EventTopic, ack_topic

DOCS = Path(__file__).parents[2] / "docs" / "contracts"
GOLDEN = Path(__file__).parent / "golden"
SCHEMAS = sorted(DOCS.glob("*.schema.json"))


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def asyncapi() -> dict[str, Any]:
    return read(DOCS / "asyncapi.json")


def run_documents(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["documents", *arguments])
    return documents.main()


def test_the_generated_documents_are_current(monkeypatch, capsys):
    code = run_documents(monkeypatch, str(DOCS), "--check")

    assert (code, capsys.readouterr().out) == (0, "")


def test_nothing_else_lies_among_the_generated_documents():
    assert {path.name for path in DOCS.iterdir()} - {"README.md"} == set(documents.documents())


def test_drift_is_named_and_fails(tmp_path, monkeypatch, capsys):
    run_documents(monkeypatch, str(tmp_path))
    (tmp_path / "ack.schema.json").write_text("{}")
    (tmp_path / "zoo.schema.json").unlink()

    code = run_documents(monkeypatch, str(tmp_path), "--check")

    said = capsys.readouterr().out
    assert code == 1
    assert "ack.schema.json" in said
    assert "zoo.schema.json" in said
    assert "event.schema.json" not in said
    assert not (tmp_path / "zoo.schema.json").exists()


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_each_schema_is_valid_by_its_own_dialect(path):
    schema = read(path)

    Draft202012Validator.check_schema(schema)

    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


@pytest.mark.parametrize("kind", Kind)
def test_the_golden_event_validates_against_the_schema(kind):
    event = read(GOLDEN / f"{kind}.json")

    Draft202012Validator(read(DOCS / "event.schema.json")).validate(event)


@pytest.mark.parametrize("kind", Kind)
def test_the_golden_event_validates_against_its_message_in_the_asyncapi_document(kind, asyncapi):
    payload = asyncapi["components"]["messages"][kind]["payload"]

    Draft202012Validator(payload).validate(read(GOLDEN / f"{kind}.json"))


def test_the_golden_acknowledgement_validates_against_its_schema():
    Draft202012Validator(read(DOCS / "ack.schema.json")).validate(read(GOLDEN / "ack.json"))


@pytest.mark.parametrize(
    ("where", "value"),
    [("seq", True), ("seq", "7"), ("seq", -1), ("time", 0), ("source", "/sites/a"), ("data", {})],
)
def test_the_schema_refuses_what_the_reader_refuses(where, value):
    event = {**read(GOLDEN / "traffic.json"), where: value}

    assert not Draft202012Validator(read(DOCS / "event.schema.json")).is_valid(event)


def test_the_asyncapi_document_has_a_channel_and_an_operation_for_every_kind(asyncapi):
    assert asyncapi["asyncapi"].startswith("3.")
    assert set(asyncapi["channels"]) == {*Kind, "ack", BATCH}
    sent = {f"send-{name}" for name in (*Kind, BATCH)}
    assert set(asyncapi["operations"]) == {*sent, "receive-ack"}


@pytest.mark.parametrize("kind", Kind)
def test_a_channel_has_the_address_that_the_code_uses(kind, asyncapi):
    address = asyncapi["channels"][kind]["address"].format(site="store", device="till-1")

    assert address == str(EventTopic("store", "till-1", kind))


def test_a_batch_has_the_address_and_the_limit_that_the_code_uses(asyncapi):
    address = asyncapi["channels"][BATCH]["address"].format(site="store", device="till-1")

    assert address == batch_topic("store", "till-1")
    assert asyncapi["components"]["messages"][BATCH]["payload"]["maxLength"] == MAX_BATCH_BYTES
    assert asyncapi["operations"]["send-batch"]["bindings"]["mqtt"] == {"qos": 1, "retain": False}


def test_the_golden_heartbeat_with_health_validates_against_the_schema():
    event = read(GOLDEN / "heartbeat-health.json")

    Draft202012Validator(read(DOCS / "event.schema.json")).validate(event)


def test_the_acknowledgement_has_the_address_that_the_code_uses(asyncapi):
    address = asyncapi["channels"]["ack"]["address"].format(site="store", device="till-1")

    assert address == ack_topic("store", "till-1")


@pytest.mark.parametrize("kind", Kind)
def test_only_birth_and_death_are_retained_and_the_durable_are_said_to_be(kind, asyncapi):
    operation = asyncapi["operations"][f"send-{kind}"]

    assert operation["bindings"]["mqtt"]["retain"] is (kind in (Kind.BIRTH, Kind.DEATH))
    assert ("acknowledged" in operation["summary"]) is (kind in DURABLE_KINDS)


def test_every_reference_in_the_asyncapi_document_leads_somewhere(asyncapi):
    for reference in references(asyncapi):
        node = asyncapi
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert node


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)
