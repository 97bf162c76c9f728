"""Manifest of a model bundle, and the zoo file that lists bundles and where their builds are.

A bundle as one file is an uncompressed tar archive with ``manifest.json`` first, then the builds
and the golden clip in the order in which the manifest names them; every entry has mode 0644,
owner 0 and time 0, so that the same content has the same digest.
"""

from __future__ import annotations

import tomllib
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from shopfloor_contracts.base import Count, Digest, Operator, Ratio, Slug, refuse_twins
from shopfloor_contracts.errors import ZooError
from shopfloor_contracts.problems import describe


class Head(StrEnum):
    """How a model's raw output is turned into detections."""

    YOLOX = "yolox"
    """``(N, A, 5 + C)``: xy offsets, log sizes, objectness, class scores, on strides 8, 16, 32."""
    END2END = "end2end"
    """``(N, K, 6)``: x1, y1, x2, y2, score, class in input pixels; no NMS needed."""
    DIFFERENCES = "differences"
    """``(N, 5 + C)`` of N windows around differences: the defect's box as shares of the window,
    then logits of no defect and of each class."""
    PATCHES = "patches"
    """``(N, H / 8, W / 8)``: how unlike any good part each patch of N parts is, in [0, 1]. The
    pictures are median filtered, 3 x 3, and their lower and right edge is repeated up to the size
    that the preprocessing names."""


class Preprocess(Operator):
    """From a camera's frame to the model's input. One path for training and serving."""

    width_px: Annotated[int, Field(ge=32, le=4096, multiple_of=32)]
    height_px: Annotated[int, Field(ge=32, le=4096, multiple_of=32)]
    layout: Literal["nchw-float32", "nhwc-uint8"]
    colour: Literal["bgr", "rgb", "reference-part", "grey"]
    """``reference-part``: two grey channels, a good part and the one that is judged."""
    scale: Annotated[float, Field(gt=0)] = 1.0
    """Multiplied with 0–255 pixels."""
    letterbox: Literal["top-left", "centre"]
    pad: Annotated[int, Field(ge=0, le=255)] = 114


class Build(Operator):
    """One file of a bundle, made for one kind of runtime.

    A file with several outputs gives them side by side, in its own order along the last axis, as
    what ``Manifest.head`` says: so each can have an integer step of its own.
    """

    target: Slug
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]
    sha256: Digest
    size_bytes: Count
    urls: list[Annotated[str, Field(pattern=r"^https://")]] = Field(default_factory=list)
    layout: Literal["nchw-float32", "nhwc-uint8", "nhwc-int8"] | None = None
    """Where this build's input differs from the manifest's preprocessing."""


class DataSource(Operator):
    """A part of what a model was trained on."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    licence_class: Annotated[str, Field(min_length=1, max_length=100)]
    images: Count
    labels: Annotated[str, Field(max_length=200)] = ""
    """Who drew the boxes: people, or which teacher."""


class Provenance(Operator):
    """How a bundle was made, so that it can be made again and its licence be judged."""

    recipe: Annotated[str, Field(max_length=200)]
    inherits: Annotated[str, Field(max_length=200)] = ""
    """Weights that training began with, and their licence; empty for none."""
    data_sha256: Digest | None = None
    """Digest of the list of training files' digests."""
    seed: Count = 0
    sources: Annotated[list[DataSource], Field(max_length=100)] = Field(default_factory=list)


class Measure(Operator):
    """One figure that was measured on this bundle."""

    metric: Slug
    value: float
    data: Annotated[str, Field(max_length=200)]
    """What it was measured on."""
    target: Slug | None = None
    """The build that was measured; None for the trained network."""


class Golden(Operator):
    """Frames and what the model must find on them, to be run on the device before it is trusted."""

    clip: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]
    """An NPZ: ``frames`` ``(N, H, W, 3)`` uint8, ``detections`` ``(N, 300, 6)`` float32."""
    sha256: Digest
    size_bytes: Count
    tolerance_px: Annotated[float, Field(gt=0)] = 2.0
    tolerance_score: Ratio = 0.1


_GOES_WITH: dict[str, tuple[tuple[Head, ...], tuple[str, ...]]] = {
    "detect": ((Head.YOLOX, Head.END2END), ("bgr", "rgb")),
    "classify-differences": ((Head.DIFFERENCES,), ("reference-part",)),
    "score-patches": ((Head.PATCHES,), ("grey",)),
}
"""Heads and colours of each task."""


class Manifest(Operator):
    """What a bundle is, what it needs and what it finds."""

    name: Slug
    version: Annotated[str, Field(min_length=1, max_length=64)]
    task: Literal["detect", "classify-differences", "score-patches"]
    licence: Annotated[str, Field(min_length=1, max_length=64)]
    source: Annotated[str, Field(max_length=200)]
    classes: Annotated[list[str], Field(min_length=1, max_length=1000)]
    head: Head
    preprocess: Preprocess
    score_min: Ratio = 0.1
    """Detections below are not worth tracking."""
    nms_iou: Ratio = 0.65
    builds: Annotated[list[Build], Field(min_length=1)]
    golden: Golden | None = None
    provenance: Provenance | None = None
    evaluation: Annotated[list[Measure], Field(max_length=200)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _targets_are_unique(self) -> Manifest:
        refuse_twins("build", [build.target for build in self.builds])
        return self

    @model_validator(mode="after")
    def _head_and_colour_suit_the_task(self) -> Manifest:
        heads, colours = _GOES_WITH[self.task]
        if self.head not in heads or self.preprocess.colour not in colours:
            raise ValueError(
                f"task {self.task} does not go with head {self.head.value} "
                f"and colour {self.preprocess.colour}"
            )
        return self

    def build_for(self, target: str) -> Build | None:
        """Return the build for ``target``, or None."""
        return next((build for build in self.builds if build.target == target), None)


class Zoo(Operator):
    """The bundles that this release knows."""

    bundle: list[Manifest]

    @model_validator(mode="after")
    def _bundle_names_are_unique(self) -> Zoo:
        refuse_twins("bundle", [manifest.name for manifest in self.bundle])
        return self


def parse_zoo(text: str, *, source: str) -> dict[str, Manifest]:
    """Read a zoo file; ``source`` names it in errors.

    Raises:
        ZooError: not TOML, or against the schema; the message names file and key.
    """
    try:
        zoo = Zoo.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as e:
        raise ZooError(f"{source}: not TOML: {e}") from e
    except ValidationError as e:
        raise ZooError(f"{source}: " + "; ".join(describe(e, Zoo))) from e
    return {manifest.name: manifest for manifest in zoo.bundle}


def parse_manifest(text: str, *, source: str) -> Manifest:
    """Read one bundle's ``manifest.json``; ``source`` names it in errors.

    Raises:
        ZooError: not JSON, or against the schema; the message names file and key.
    """
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as e:
        raise ZooError(f"{source}: " + "; ".join(describe(e, Manifest))) from e
