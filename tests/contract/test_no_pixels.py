"""No message has a field that can hold a picture: no bytes, no open text, list or table."""

from __future__ import annotations

import re
import types
import uuid
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from shopfloor_contracts.acks import Ack
from shopfloor_contracts.base import Wire
from shopfloor_contracts.events import CameraHealth, Event

MAX_TEXT_CHARS = 300
MAX_ITEMS = 64
UNBOUNDED = re.compile(r"(?<!\\)[*+]|\{\d+,\}")
"""Quantifiers that let a pattern match any length. No pattern of ours has one in a class."""

EVENT_TYPES = get_args(get_args(Event)[0])
SMALL = (int, float, bool, uuid.UUID, datetime, AwareDatetime, types.NoneType)


def too_wide(annotation: Any, where: str, metadata: tuple[Any, ...] = ()) -> Iterator[str]:
    """Yield every place below ``annotation`` that could hold more than a name or a number."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        yield from too_wide(inner, where, (*more, *metadata))
    elif origin in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from too_wide(option, where, metadata)
    elif origin is list:
        if (constraint(metadata, "max_length") or MAX_ITEMS + 1) > MAX_ITEMS:
            yield where
        yield from too_wide(get_args(annotation)[0], f"{where}[]")
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from too_wide_fields(annotation, where)
    elif not (text_is_bounded(metadata) if annotation is str else is_small(annotation)):
        yield where


def too_wide_fields(model: type[BaseModel], where: str) -> Iterator[str]:
    if model.model_config.get("extra") == "allow":
        yield f"{where}.*"
    for name, field in model.model_fields.items():
        yield from too_wide(field.annotation, f"{where}.{name}", tuple(field.metadata))


def is_small(annotation: Any) -> bool:
    if get_origin(annotation) is Literal or annotation in SMALL:
        return True
    return isinstance(annotation, type) and issubclass(annotation, Enum)


def text_is_bounded(metadata: tuple[Any, ...]) -> bool:
    limit, pattern = constraint(metadata, "max_length"), constraint(metadata, "pattern")
    if limit is not None:
        return limit <= MAX_TEXT_CHARS
    return pattern is not None and pattern.endswith("$") and not UNBOUNDED.search(pattern)


def constraint(metadata: tuple[Any, ...], name: str) -> Any:
    """Return the first value of a constraint; ``Annotated`` keeps it inside a ``FieldInfo``."""
    for item in metadata:
        value = getattr(item, name, None)
        if value is None:
            value = constraint(tuple(getattr(item, "metadata", ())), name)
        if value is not None:
            return value
    return None


@pytest.mark.parametrize("message", [*EVENT_TYPES, Ack], ids=lambda message: message.__name__)
def test_no_message_has_a_field_that_can_hold_pixels(message):
    assert list(too_wide(message, message.__name__)) == []


def test_no_type_of_event_is_left_out_of_the_walk():
    wire = {kind for kind in every_subclass(Wire) if kind.__module__.startswith("shopfloor_")}

    assert {kind for kind in wire if "type" in kind.model_fields} == set(EVENT_TYPES)


def every_subclass(of: type) -> Iterator[type]:
    for kind in of.__subclasses__():
        yield kind
        yield from every_subclass(kind)


class Careless(BaseModel):
    """What must never be written: each field but the last two could carry a frame."""

    thumbnail: bytes
    note: str
    path: Annotated[str, Field(pattern=r"^/[a-z/]+$")]
    prefix: Annotated[str, Field(pattern=r"^/sites/[a-z]")]
    essay: Annotated[str, Field(max_length=10_000)]
    histogram: list[int]
    pixels: Annotated[list[int], Field(max_length=4096)]
    extra: dict[str, int]
    anything: Any
    nested: Annotated[list[list[float]], Field(max_length=8)]
    either: int | str
    name: Annotated[str, Field(pattern=r"^[a-z]{1,8}$")]
    at: AwareDatetime | None


def test_the_walk_finds_every_field_that_could_hold_a_frame():
    found = set(too_wide(Careless, "careless"))

    harmless = {"careless.name", "careless.at", "careless.nested"}
    every = {f"careless.{name}" for name in Careless.model_fields}
    assert found == every - harmless | {"careless.nested[]"}


def test_free_text_ends_before_it_can_hold_a_thumbnail():
    with pytest.raises(ValidationError, match="at most 200 characters"):
        CameraHealth(camera="door", status="absent", fps=0, reason="x" * 201)
