"""The contracts as documents for others: JSON Schema and AsyncAPI 3, written to ``docs/contracts``.

``python -m shopfloor_contracts.documents docs/contracts [--check]``
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from shopfloor_contracts.acks import Ack
from shopfloor_contracts.batches import BATCH, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, batch_topic
from shopfloor_contracts.bundles import Zoo
from shopfloor_contracts.events import DURABLE_KINDS, EVENT_ADAPTER, EVENT_OF_KIND, Kind
from shopfloor_contracts.site import SiteFile
from shopfloor_contracts.topics import ROOT

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def documents() -> dict[str, str]:
    """Return every generated document by file name."""
    schemas: dict[str, Any] = {
        "event.schema.json": EVENT_ADAPTER.json_schema(mode="serialization"),
        "ack.schema.json": Ack.model_json_schema(),
        "site.schema.json": SiteFile.model_json_schema(),
        "zoo.schema.json": Zoo.model_json_schema(),
        "asyncapi.json": _asyncapi(),
    }
    for name, schema in schemas.items():
        if name != "asyncapi.json":
            schema["$schema"] = _DIALECT
    return {
        name: json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for name, schema in schemas.items()
    }


def _asyncapi() -> dict[str, Any]:
    parameters = {
        "site": {"description": "the store or plant"},
        "device": {"description": "the device in it"},
    }
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for kind, event in EVENT_OF_KIND.items():
        messages[kind] = {
            "name": f"shopfloor.{kind}.v1",
            "title": event.__name__,
            "contentType": "application/cloudevents+json",
            "payload": _with_local_refs(event.model_json_schema(mode="serialization")),
        }
        channels[kind] = {
            "address": f"{ROOT}/{{site}}/{{device}}/{kind}",
            "parameters": parameters,
            "messages": {kind: {"$ref": f"#/components/messages/{kind}"}},
        }
        operations[f"send-{kind}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{kind}"},
            "summary": "through the outbox, acknowledged" if kind in DURABLE_KINDS else "as it is",
            "bindings": {"mqtt": {"qos": 1, "retain": kind in (Kind.BIRTH, Kind.DEATH)}},
        }
    messages[BATCH] = {
        "name": "shopfloor.batch.v1",
        "title": "Batch",
        "contentType": "application/octet-stream",
        "description": "SFB1, eight bytes that name the dictionary (the first of its SHA-256), one "
        "zstd frame. The frame holds a JSON array of the events that may wait, without the ids "
        f"that a reader makes again: at most {MAX_BATCH_EVENTS}, {MAX_BATCH_BYTES} bytes in all.",
        "payload": {"type": "string", "format": "binary", "maxLength": MAX_BATCH_BYTES},
    }
    channels[BATCH] = {
        "address": batch_topic("{site}", "{device}"),
        "parameters": parameters,
        "messages": {BATCH: {"$ref": f"#/components/messages/{BATCH}"}},
    }
    operations[f"send-{BATCH}"] = {
        "action": "send",
        "channel": {"$ref": f"#/channels/{BATCH}"},
        "summary": "several events as one message; each is acknowledged as if it had come alone",
        "bindings": {"mqtt": {"qos": 1, "retain": False}},
    }
    messages["ack"] = {"name": "ack", "contentType": "application/json"}
    messages["ack"]["payload"] = _with_local_refs(Ack.model_json_schema())
    channels["ack"] = {
        "address": f"{ROOT}/{{site}}/{{device}}/cloud/ack",
        "parameters": parameters,
        "messages": {"ack": {"$ref": "#/components/messages/ack"}},
    }
    operations["receive-ack"] = {
        "action": "receive",
        "channel": {"$ref": "#/channels/ack"},
        "summary": "how far the cloud has stored the outbox",
        "bindings": {"mqtt": {"qos": 1}},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Shopfloor device events",
            "version": "1.0.0",
            "description": "What a device says to the cloud over MQTT 5, and what it hears back.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def _with_local_refs(schema: dict[str, Any]) -> dict[str, Any]:
    """Inline ``$defs``: an AsyncAPI payload has no root of its own to point into."""
    definitions = schema.pop("$defs", {})

    def inline(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return inline(definitions[node["$ref"].rsplit("/", 1)[1]])
            return {key: inline(value) for key, value in node.items()}
        return [inline(value) for value in node] if isinstance(node, list) else node

    inlined: dict[str, Any] = inline(schema)
    return inlined


def main() -> int:
    """Write the documents, or with ``--check`` say which ones differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 on drift")
    arguments = parser.parse_args()
    drifted = []
    for name, text in documents().items():
        path = arguments.folder / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if arguments.check:
            drifted.append(str(path))
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if drifted:
        print("generated documents are stale, run 'make contracts': " + ", ".join(drifted))
    return 1 if drifted else 0


if __name__ == "__main__":
    sys.exit(main())
