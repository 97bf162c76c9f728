"""Gates between stages: rules, evidence, and verdicts that explain themselves. Pure.

What was not measured is not passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from shopfloor_registry.domain.stages import Stage
from shopfloor_registry.domain.versions import BuildRecord, Figure

Stages = tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class LicenceRule:
    """The bundle's licence is one of ``allow``."""

    allow: tuple[str, ...]
    name: str = "licence"
    stages: Stages = (Stage.STAGING, Stage.PRODUCTION)


@dataclass(frozen=True, slots=True)
class SizeRule:
    """Each build has at most ``max_bytes``."""

    max_bytes: int
    name: str = "size"
    stages: Stages = (Stage.STAGING, Stage.PRODUCTION)


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A figure must not be below ``value``."""

    value: float


@dataclass(frozen=True, slots=True)
class AtMost:
    """A figure must not be above ``value``."""

    value: float


@dataclass(frozen=True, slots=True)
class FigureRule:
    """Every build's figure of ``metric`` keeps ``limit``, on all data that it was measured on."""

    name: str
    metric: str
    limit: AtLeast | AtMost
    stages: Stages


@dataclass(frozen=True, slots=True)
class DropRule:
    """No build is more than ``max_drop`` below the version in production, on the same data."""

    name: str
    metric: str
    max_drop: float
    stages: Stages


Rule = LicenceRule | SizeRule | FigureRule | DropRule


@dataclass(frozen=True, slots=True)
class Verdict:
    """One gate's answer about one build, or about the whole version (``target`` None)."""

    gate: str
    target: str | None
    figure: str
    limit: str
    data: str = ""
    """What the figure was measured on; empty where nothing was."""
    passed: bool = False

    def __str__(self) -> str:
        """Return the verdict in one line, such as ``size of coral: 9 bytes, at most 8: failed``."""
        of = f" of {self.target}" if self.target else ""
        on = f" on {self.data}" if self.data else ""
        word = "passed" if self.passed else "failed"
        return f"{self.gate}{of}: {self.figure}{on}, {self.limit}: {word}"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged."""

    licence: str
    builds: tuple[BuildRecord, ...]
    figures: tuple[Figure, ...]


def judge(
    rules: Iterable[Rule], subject: Subject, to: Stage, in_production: Subject | None
) -> tuple[Verdict, ...]:
    """Return every gate's verdict on moving ``subject`` to ``to``.

    Without a version in production there is nothing to be worse than: those gates pass and say so.
    """
    return tuple(
        verdict
        for rule in rules
        if to in rule.stages
        for verdict in _judge_one(rule, subject, in_production)
    )


def newest(figures: Iterable[Figure]) -> list[Figure]:
    """Return the last figure of each metric, target and data."""
    kept = {(f.metric, f.target, f.data): f for f in sorted(figures, key=lambda f: f.added_at)}
    return list(kept.values())


def _judge_one(rule: Rule, subject: Subject, in_production: Subject | None) -> Iterator[Verdict]:
    match rule:
        case LicenceRule():
            passed = subject.licence in rule.allow
            limit = f"one of {', '.join(rule.allow)}"
            yield Verdict(rule.name, None, subject.licence, limit, passed=passed)
        case SizeRule():
            limit = f"at most {rule.max_bytes} bytes"
            for build in subject.builds:
                size, fits = build.file_bytes, build.file_bytes <= rule.max_bytes
                yield Verdict(rule.name, build.target, f"{size} bytes", limit, passed=fits)
        case FigureRule():
            for build in subject.builds:
                yield _judge_figure(rule, build.target, subject.figures)
        case DropRule():
            for build in subject.builds:
                yield _judge_drop(rule, build.target, subject, in_production)


def _judge_figure(rule: FigureRule, target: str, figures: Sequence[Figure]) -> Verdict:
    least = isinstance(rule.limit, AtLeast)
    limit = f"{'at least' if least else 'at most'} {rule.limit.value:g}"
    found = _figures_of(figures, rule.metric, target)
    if not found:
        return Verdict(rule.name, target, f"no {rule.metric} was measured", limit)
    # The worst data decides: one good scene does not make up for a bad one.
    worst = _worst(found, least=least)
    passed = worst.value >= rule.limit.value if least else worst.value <= rule.limit.value
    figure = f"{rule.metric} {worst.value:g}"
    return Verdict(rule.name, target, figure, limit, worst.data, passed=passed)


def _judge_drop(
    rule: DropRule, target: str, subject: Subject, in_production: Subject | None
) -> Verdict:
    limit = f"at most {rule.max_drop:g} below production"
    if in_production is None:
        return Verdict(rule.name, target, "nothing is in production", limit, passed=True)
    before = {f.data: f for f in _figures_of(in_production.figures, rule.metric, target)}
    pairs = [
        (before[f.data].value - f.value, f)
        for f in _figures_of(subject.figures, rule.metric, target)
        if f.data in before
    ]
    if not before:
        said = f"production has no {rule.metric} for this target"
        return Verdict(rule.name, target, said, limit, passed=True)
    if not pairs:
        said = f"no {rule.metric} on the data that production was measured on"
        return Verdict(rule.name, target, said, limit, "; ".join(sorted(before)))
    drop, worst = max(pairs, key=lambda pair: pair[0])
    said = f"{rule.metric} {worst.value:g} after {before[worst.data].value:g}"
    # A drop of exactly the limit is allowed; 0.3 - 0.28 is more than 0.02 in binary.
    passed = drop <= rule.max_drop + 1e-9
    return Verdict(rule.name, target, said, limit, worst.data, passed=passed)


def _figures_of(figures: Iterable[Figure], metric: str, target: str) -> list[Figure]:
    return [f for f in newest(figures) if f.metric == metric and f.target == target]


def _worst(figures: Sequence[Figure], *, least: bool) -> Figure:
    choose: Callable[..., Figure] = min if least else max
    return choose(figures, key=lambda f: f.value)
