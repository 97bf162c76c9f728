"""The two kinds of model: what is read from the wire, and what an operator writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

SLUG_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"

Slug = Annotated[str, Field(pattern=SLUG_PATTERN)]
"""A name that is safe in a topic, a path and a DNS label: 1–63 of ``a-z 0-9 -``."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in lower-case hexadecimal."""

Ratio = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Seconds = Annotated[float, Field(ge=0.0, le=1e9)]


def refuse_twins(what: str, names: Iterable[str]) -> None:
    """Raise ``ValueError`` naming the first of ``names`` that stands there twice."""
    names = list(names)
    if len(set(names)) == len(names):
        return
    twins = sorted(name for name, times in Counter(names).items() if times > 1)
    if twins:
        raise ValueError(f"two {what}s are named {twins[0]!r}")


class Wire(BaseModel):
    """Bytes from another process: an old reader ignores the fields of a newer writer."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Operator(BaseModel):
    """Written by a person: an unknown key is a mistake, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
