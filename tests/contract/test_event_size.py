"""Whatever the schema allows fits below the limit at which a reader refuses a message."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from shopfloor_contracts.events import EVENT_ADAPTER, MAX_EVENT_BYTES, encode, parse_event

SCHEMA = EVENT_ADAPTER.json_schema(mode="serialization")
TYPES = SCHEMA["discriminator"]["mapping"]


def widest(schema: dict[str, Any], nth: int = 0) -> Any:
    """Return the value of ``schema`` that takes the most bytes; ``nth`` keeps names apart."""
    if "$ref" in schema:
        return widest(SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]], nth)
    if "anyOf" in schema:
        return widest(schema["anyOf"][0], nth)
    if "enum" in schema:
        return max(schema["enum"], key=len)
    return schema["const"] if "const" in schema else WIDEST[schema["type"]](schema, nth)


def widest_object(schema: dict[str, Any], nth: int) -> dict[str, Any]:
    return {name: widest(field, nth) for name, field in schema["properties"].items()}


def widest_array(schema: dict[str, Any], _nth: int) -> list[Any]:
    return [widest(schema["items"], n) for n in range(schema["maxItems"])]


def widest_text(schema: dict[str, Any], nth: int) -> str:
    if "pattern" not in schema and "maxLength" in schema:
        return "\x01" * schema["maxLength"]  # JSON writes a control character as six bytes
    slug = f"{nth:02d}".rjust(63, "a")
    candidates = {
        None: [f"/sites/{slug}/devices/{slug}/cameras/{slug}", "f" * 64, slug, "f" * 12],
        "uuid": ["ffffffff-ffff-4fff-bfff-ffffffffffff"],
        "date-time": ["2026-11-02T09:30:00.123456Z"],
    }[schema.get("format")]
    return next(text for text in candidates if re.fullmatch(schema.get("pattern", ".*"), text))


WIDEST = {
    "object": widest_object,
    "array": widest_array,
    "string": widest_text,
    "integer": lambda schema, _nth: schema["maximum"],
    "boolean": lambda _schema, _nth: False,
    # 23 characters, and legal as a ratio, a rate and a duration.
    "number": lambda _schema, _nth: 2.2250738585072014e-308,
}


@pytest.mark.parametrize("event_type", TYPES)
def test_the_largest_legal_event_is_accepted_with_room_for_a_newer_writer(event_type):
    event = widest({"$ref": TYPES[event_type]})
    event["prevseq"] -= 1

    payload = encode(parse_event(json.dumps(event).encode()))

    assert len(payload) < MAX_EVENT_BYTES * 3 // 4
