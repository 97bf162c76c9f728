"""What a judge takes and says. Judges differ; the station around them does not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
"""``(H, W)`` 0–255."""
Box = tuple[int, int, int, int]
"""``(x1, y1, x2, y2)`` in pixels of the part's picture."""


class Verdict(StrEnum):
    """What becomes of a part. A part that cannot be judged is never passed."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    REVIEW = "review"
    """A person decides."""


class Doubt(StrEnum):
    """Why a part could not be judged."""

    NO_PICTURE = "no-picture"
    DARK = "dark"
    """Light off, or the lens is covered."""
    NO_PART = "no-part"
    HALF_PART = "half-part"
    """Cut off by the picture's edge, or moved further than is searched."""
    OTHER_PRODUCT = "other-product"
    """Neither upright nor turned does it look like the reference; also two parts at once."""
    TURNED = "turned"
    """Upside down."""
    BLURRED = "blurred"
    """Dirt on the lens, out of focus, or moving."""
    UNSURE = "unsure"
    """The judge's own score lies between pass and fail."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One place of a part that is not as it should be."""

    box: Box
    defect: str
    """Class of the defect; ``difference`` from a judge that knows none."""
    score: float
    """How sure the judge is, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge says of one part."""

    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    doubt: Doubt | None = None
    """Set exactly when the verdict is review."""


class Judge(Protocol):
    """Judges one picture at a time."""

    @property
    def name(self) -> str:
        """Short name, as in a recipe."""

    def judge(self, part: Grey) -> Judgement:
        """Judge one part. Never raises for what a picture shows; doubt is a verdict."""
