"""The dataset file ``my.toml``: what it may say. Reading the pictures is in ``scan``."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from shopfloor_contracts.base import Count, Operator, Ratio, Slug, refuse_twins
from shopfloor_contracts.problems import describe
from shopfloor_models.errors import DataError

Split = Literal["train", "val"]
Text = Annotated[str, Field(min_length=1, max_length=200)]


class Source(Operator):
    """A folder of pictures under one licence, with its labels."""

    name: Slug
    images: Text
    """A folder, relative to the dataset file."""
    labels: Text
    """A folder of YOLO text files, or one COCO JSON file."""
    licence_class: Text
    names: Annotated[list[Text], Field(max_length=1000)] = Field(default_factory=list)
    """What the numbers in YOLO files mean; the dataset's classes where empty."""
    other_classes: Literal["refuse", "drop"] = "refuse"
    """What happens to labels of a class that the dataset does not name."""
    unlabelled: Literal["refuse", "empty"] = "refuse"
    """Whether a picture without labels is a mistake, or shows nothing of interest."""
    labelled_by: Annotated[str, Field(max_length=200)] = "people"
    scene: Annotated[str, Field(max_length=200)] = ""
    """A regular expression on file names; its first group names the scene."""
    split: Split | None = None
    """The whole source's split; without it the scene decides."""

    @field_validator("scene")
    @classmethod
    def _scene_compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as e:
            raise ValueError(f"{pattern!r} is no regular expression: {e}") from e
        return pattern


class QualityLimits(Operator):
    """When a finding is worth a line."""

    min_box_px: Annotated[float, Field(ge=0, le=1000)] = 3.0
    """Smaller boxes teach noise."""
    min_class_boxes: Count = 10
    max_class_ratio: Annotated[float, Field(ge=1)] = 20.0
    """The most frequent class against the rarest."""
    near_duplicate_bits: Annotated[int, Field(ge=0, le=64)] = 3
    """Of the 256 bits of a picture's hash, how many may differ in a near duplicate."""


class Dataset(Operator):
    """A versioned dataset."""

    name: Slug
    version: Text
    classes: Annotated[list[Text], Field(min_length=1, max_length=1000)]
    sources: Annotated[list[Source], Field(min_length=1, max_length=1000)]
    allowed_licences: list[Text] | None = None
    """Every source must be under one of these, where the list is given."""
    exclude_licences: list[Text] = Field(default_factory=list)
    """Sources under these are left out."""
    val_ratio: Ratio = 0.2
    """The share of scenes kept for validation, where no split is written."""
    val_scenes: list[Text] = Field(default_factory=list)
    quality: QualityLimits = Field(default_factory=QualityLimits)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Dataset:
        refuse_twins("source", [source.name for source in self.sources])
        refuse_twins("class", self.classes)
        return self

    def used_sources(self) -> list[Source]:
        """Return the sources whose licence is not excluded.

        Raises:
            DataError: a licence is not allowed, or nothing is left.
        """
        used = [s for s in self.sources if s.licence_class not in self.exclude_licences]
        for source in used:
            if self.allowed_licences is not None and (
                source.licence_class not in self.allowed_licences
            ):
                raise DataError(
                    f"source {source.name}: licence {source.licence_class!r} is not allowed, "
                    f"expected one of {', '.join(self.allowed_licences)}"
                )
        if not used:
            raise DataError(f"dataset {self.name}: every source is excluded by its licence")
        return used


def load_dataset(path: Path) -> Dataset:
    """Read a dataset file.

    Raises:
        DataError: it cannot be read or says what it must not; names file and key.
    """
    try:
        return Dataset.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as e:
        raise DataError(f"{path}: {e.strerror}") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise DataError(f"{path}: not TOML: {e}") from e
    except ValidationError as e:
        raise DataError(f"{path}: " + "; ".join(describe(e, Dataset))) from e
