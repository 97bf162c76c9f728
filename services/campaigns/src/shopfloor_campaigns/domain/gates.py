"""Whether a wave's figures pass, fail, or say too little yet; every answer explains itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from shopfloor_campaigns.domain import intervals
from shopfloor_campaigns.domain.intervals import Clusters, Interval
from shopfloor_campaigns.domain.plan import Gate, GateRule
from shopfloor_contracts.events import INFERENCE_EDGES_MS


class Answer(StrEnum):
    """A gate's verdict."""

    PASS = "pass"  # noqa: S105 — a verdict
    FAIL = "fail"
    WAIT = "wait"
    """The sample is too small, or its interval lies on both sides of the limit."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over one wave's devices. A device's reports are summed before they come here."""

    devices: int = 0
    succeeded: int = 0
    failed: int = 0
    crashes: int = 0
    observed_s: float = 0.0
    agreed: int = 0
    only_old: int = 0
    only_new: int = 0
    clusters: Clusters = field(default_factory=Clusters)
    new_ms: tuple[int, ...] = (0,) * (len(INFERENCE_EDGES_MS) + 1)
    old_scores: tuple[int, ...] = (0,) * 10
    new_scores: tuple[int, ...] = (0,) * 10
    alerts_right: int = 0
    alerts_wrong: int = 0
    audit_agreed: int = 0
    audit_missed: int = 0
    audit_extra: int = 0
    inspected: int = 0
    escaped: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One look at one gate. ``figure`` and its interval are None without any sample."""

    gate: Gate
    answer: Answer
    figure: float | None
    low: float | None
    high: float | None
    limit: float
    sample: int
    minimum: int
    confidence: float
    explanation: str


@dataclass(frozen=True, slots=True)
class _Judge:
    unit: str
    sample: Callable[[Figures], int]
    measure: Callable[[Figures, float], Interval]
    lowest: Callable[[float], float]
    """From the limit: the least that is well."""
    highest: Callable[[float], float]


def judge(rule: GateRule, figures: Figures, *, look: int = 1) -> Verdict:
    """Answer one gate.

    Look n spends ``(1 − confidence) / 2**n``, so that all looks together keep the confidence,
    however many there are. Passes when the whole interval is within the limit, fails when none of
    it is.
    """
    judged = _JUDGES[rule.gate]
    sample = judged.sample(figures)
    confidence = 1 - (1 - rule.confidence) / 2.0 ** min(look, 40)
    verdict = Verdict(
        gate=rule.gate,
        answer=Answer.WAIT,
        figure=None,
        low=None,
        high=None,
        limit=rule.limit,
        sample=sample,
        minimum=rule.minimum,
        confidence=confidence,
        explanation=f"{sample} {judged.unit}, {rule.minimum} wanted",
    )
    if sample == 0:
        return verdict
    found = judged.measure(figures, confidence)
    verdict = replace(verdict, figure=found.figure, low=found.low, high=found.high)
    if sample < rule.minimum:
        return verdict
    well = judged.lowest(rule.limit), judged.highest(rule.limit)
    answer = _compare(found, *well)
    return replace(verdict, answer=answer, explanation=_explain(verdict, judged.unit, answer))


def sample_of(gate: Gate, figures: Figures) -> int:
    """Return how many of what the gate counts there are."""
    return _JUDGES[gate].sample(figures)


def _compare(found: Interval, lowest: float, highest: float) -> Answer:
    if found.low > highest or found.high < lowest:
        return Answer.FAIL
    if lowest <= found.low and found.high <= highest:
        return Answer.PASS
    return Answer.WAIT


def _explain(verdict: Verdict, unit: str, answer: Answer) -> str:
    said = {
        Answer.PASS: "all of it is within the limit",
        Answer.FAIL: "none of it is within the limit",
        Answer.WAIT: "it lies on both sides of the limit",
    }[answer]
    return (
        f"{verdict.figure:.4g} ({verdict.low:.4g} to {verdict.high:.4g} with confidence "
        f"{verdict.confidence:.4g}) over {verdict.sample} {unit}; limit {verdict.limit:g}: {said}"
    )


def _exactly(limit: float) -> float:
    return limit


def _none_below(_: float) -> float:
    return float("-inf")


def _none_above(_: float) -> float:
    return float("inf")


def _installed(figures: Figures, _: float) -> Interval:
    # A wave is known to its last device: what can still become of the others bounds the share.
    open_devices = figures.devices - figures.succeeded - figures.failed
    ended = figures.succeeded + figures.failed
    return Interval(
        figures.succeeded / ended if ended else 0.0,
        figures.succeeded / figures.devices,
        (figures.succeeded + open_devices) / figures.devices,
    )


def _count_difference(figures: Figures, confidence: float) -> Interval:
    found = intervals.relative_difference(
        figures.agreed, figures.only_old, figures.only_new, confidence
    )
    wide = figures.clusters.half_width(found.figure, confidence)
    return Interval(
        found.figure, min(found.low, found.figure - wide), max(found.high, found.figure + wide)
    )


def _crossings(figures: Figures) -> int:
    return figures.agreed + figures.only_old + figures.only_new


def _audited(figures: Figures) -> int:
    return figures.audit_agreed + figures.audit_missed + figures.audit_extra


_JUDGES = {
    Gate.INSTALL_SUCCESS: _Judge("devices", lambda f: f.devices, _installed, _exactly, _none_above),
    Gate.CRASHES: _Judge(
        "observed seconds",
        lambda f: int(f.observed_s),
        lambda f, c: intervals.rate(f.crashes, f.observed_s / 3.6e6, c),
        _none_below,
        _exactly,
    ),
    Gate.LATENCY_P99: _Judge(
        "frames",
        lambda f: sum(f.new_ms),
        lambda f, c: intervals.percentile(f.new_ms, INFERENCE_EDGES_MS, 0.99, c),
        _none_below,
        _exactly,
    ),
    Gate.SCORE_DRIFT: _Judge(
        "detections of the model that has fewer",
        lambda f: min(sum(f.old_scores), sum(f.new_scores)),
        lambda f, c: intervals.distance(f.old_scores, f.new_scores, c),
        _none_below,
        _exactly,
    ),
    Gate.COUNT_DIFFERENCE: _Judge(
        "crossings of the old model",
        lambda f: f.agreed + f.only_old,
        _count_difference,
        lambda limit: -limit,
        _exactly,
    ),
    Gate.DISAGREEMENT: _Judge(
        "crossings of either model",
        _crossings,
        lambda f, c: intervals.share(f.only_old + f.only_new, _crossings(f), c),
        _none_below,
        _exactly,
    ),
    Gate.ALERT_PRECISION: _Judge(
        "alerts that staff judged",
        lambda f: f.alerts_right + f.alerts_wrong,
        lambda f, c: intervals.share(f.alerts_right, f.alerts_right + f.alerts_wrong, c),
        _exactly,
        _none_above,
    ),
    Gate.AUDITED_ACCURACY: _Judge(
        "audited crossings",
        _audited,
        lambda f, c: intervals.share(f.audit_agreed, _audited(f), c),
        _exactly,
        _none_above,
    ),
    Gate.ESCAPE_RATE: _Judge(
        "inspected defects",
        lambda f: f.inspected,
        lambda f, c: intervals.share(f.escaped, f.inspected, c),
        _none_below,
        _exactly,
    ),
}
