"""Bodies from outside: bounded before they are parsed, refused in one line."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from shopfloor_contracts.problems import describe
from shopfloor_kit.errors import ProblemError

MAX_BODY_BYTES = 512 * 1024
"""Evidence with 1,000 lines has 120 kB."""
MAX_DETAILS, MAX_DETAIL_CHARS = 50, 512

B = TypeVar("B", bound=BaseModel)


async def read_body(request: Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """Return the body. Raises ``ProblemError`` 413 as soon as it is too long."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise ProblemError(413, "too-large", f"body is longer than {limit} bytes")
        parts.append(part)
    return b"".join(parts)


def parse(body: bytes, model: type[B]) -> B:
    """Return the document. Raises ``ProblemError`` 400."""
    try:
        return model.model_validate(_loads(body))
    except ValidationError as e:
        # A value deep in a body of half a megabyte would be repeated line by line.
        raise ProblemError(400, "invalid-body", "; ".join(describe(e, model)[:5])) from e


def parse_feedback(body: bytes, model: type[B]) -> B:
    """Return a feedback; its ``details`` are cut and not refused, as SWUpdate sends its log."""
    found = _loads(body)
    status = found.get("status") if isinstance(found, dict) else None
    if isinstance(status, dict) and isinstance(status.get("details"), list):
        details = [str(line)[:MAX_DETAIL_CHARS] for line in status["details"][-MAX_DETAILS:]]
        status["details"] = details
    if isinstance(found, dict) and isinstance(found.get("id"), int):
        # SWUpdate says the action's number where hawkBit documents a text.
        found["id"] = str(found["id"])
    try:
        return model.model_validate(found)
    except ValidationError as e:
        raise ProblemError(400, "invalid-body", "; ".join(describe(e, model)[:5])) from e


def _loads(body: bytes) -> Any:
    try:
        found = json.loads(body)
        # Lone surrogates parse, and can be written nowhere.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as e:
        raise ProblemError(400, "invalid-json", "body is no JSON in UTF-8") from e
    if b"\\u0000" in body:
        raise ProblemError(400, "invalid-json", "body has a NUL character")
    return found
