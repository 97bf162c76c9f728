"""Reads the rules of gates from TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from shopfloor_contracts.base import Operator, Slug, refuse_twins
from shopfloor_contracts.problems import describe
from shopfloor_registry.domain.gates import (
    AtLeast,
    AtMost,
    DropRule,
    FigureRule,
    LicenceRule,
    Rule,
    SizeRule,
)
from shopfloor_registry.domain.stages import Stage
from shopfloor_registry.errors import SettingsError

DEFAULT_GATES = Path(__file__).resolve().parents[1] / "gates.toml"

Stages = Annotated[list[Stage], Field(min_length=1)]


class _Figure(Operator):
    name: Slug
    metric: Slug
    min: float | None = None
    max: float | None = None
    stages: Stages

    @model_validator(mode="after")
    def _has_one_limit(self) -> _Figure:
        if (self.min is None) == (self.max is None):
            raise ValueError("give either min or max")
        return self

    def rule(self) -> FigureRule:
        limit = AtMost(self.max) if self.max is not None else AtLeast(self.min or 0.0)
        return FigureRule(self.name, self.metric, limit, tuple(self.stages))


class _Drop(Operator):
    name: Slug
    metric: Slug
    max_drop: Annotated[float, Field(ge=0)]
    stages: Stages

    def rule(self) -> DropRule:
        return DropRule(self.name, self.metric, self.max_drop, tuple(self.stages))


class _File(Operator):
    licences: Annotated[list[str], Field(min_length=1)]
    size_bytes_max: Annotated[int, Field(gt=0)]
    figure: list[_Figure] = Field(default_factory=list)
    drop: list[_Drop] = Field(default_factory=list)

    @model_validator(mode="after")
    def _names_are_unique(self) -> _File:
        names = [one.name for one in self.figure] + [one.name for one in self.drop]
        refuse_twins("gate", ["licence", "size", *names])
        return self


def read_gates(file: Path) -> list[Rule]:
    """Return the rules of ``file``.

    Raises:
        SettingsError: it cannot be read, or a key or value is wrong; names file and key.
    """
    try:
        found = _File.model_validate(tomllib.loads(file.read_text()))
    except OSError as e:
        raise SettingsError(f"{file}: {e.strerror}") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise SettingsError(f"{file}: not TOML: {e}") from e
    except ValidationError as e:
        raise SettingsError(f"{file}: " + "; ".join(describe(e, _File))) from e
    fixed: list[Rule] = [LicenceRule(tuple(found.licences)), SizeRule(found.size_bytes_max)]
    figures, drops = [one.rule() for one in found.figure], [one.rule() for one in found.drop]
    return [*fixed, *figures, *drops]
