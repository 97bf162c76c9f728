"""Evidence: many stretches of vision's figures as one report, and what they say by themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shopfloor_contracts.evidence import CountPair, Evidence, ModelFigures, PresencePair

SURE_Z = 2.58
"""Two-sided 99 %: a handful of crossings decides nothing."""


def add_up(reports: Sequence[Evidence]) -> Evidence:
    """Return reports of one phase and digest as one.

    Raises:
        ValueError: there are none.
    """
    if not reports:
        raise ValueError("there is nothing to add up")
    first = reports[0]
    return first.model_copy(
        update={
            "began_at": min(one.began_at for one in reports),
            "ended_at": max(one.ended_at for one in reports),
            "observed_s": round(sum(one.observed_s for one in reports), 3),
            "counts": _counts(reports),
            "presence": _presence(reports),
            "old": _figures([one.old for one in reports]),
            "new": _figures([one.new for one in reports]),
        }
    )


def disagreement(reports: Sequence[Evidence], agreement_min: float) -> str:
    """Say how a new model surely counts otherwise than the active one; empty where it does not.

    Sure is when the upper end of Wilson's interval for the share of agreeing crossings, of the
    active model's or of the new one's, is below ``agreement_min``.
    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    counts = _counts(reports)
    agreed = sum(one.agreed for one in counts)
    for whose, alone in (
        ("active model's", sum(one.only_old for one in counts)),
        ("new model's", sum(one.only_new for one in counts)),
    ):
        total = agreed + alone
        if total and wilson_upper(agreed, total) < agreement_min:
            return f"agrees on {agreed} of the {whose} {total} crossings"
    return ""


def wilson_upper(hits: int, total: int, z: float = SURE_Z) -> float:
    """Return the upper end of Wilson's interval of a share, in [0, 1]."""
    share = hits / total
    middle = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (middle + half) / (1 + z * z / total)


def _counts(reports: Sequence[Evidence]) -> list[CountPair]:
    sums: dict[tuple[str, str], CountPair] = {}
    for pair in (pair for one in reports for pair in one.counts):
        key = pair.camera, pair.line
        before = sums.get(key, CountPair(camera=pair.camera, line=pair.line))
        sums[key] = CountPair(
            camera=pair.camera,
            line=pair.line,
            agreed=before.agreed + pair.agreed,
            only_old=before.only_old + pair.only_old,
            only_new=before.only_new + pair.only_new,
        )
    return list(sums.values())


def _presence(reports: Sequence[Evidence]) -> list[PresencePair]:
    sums: dict[str, PresencePair] = {}
    for pair in (pair for one in reports for pair in one.presence):
        before = sums.get(pair.camera, PresencePair(camera=pair.camera))
        sums[pair.camera] = PresencePair(
            camera=pair.camera,
            frames=before.frames + pair.frames,
            people_old=before.people_old + pair.people_old,
            people_new=before.people_new + pair.people_new,
            differing=before.differing + pair.differing,
        )
    return list(sums.values())


def _figures(told: Sequence[ModelFigures | None]) -> ModelFigures | None:
    known = [one for one in told if one is not None]
    if not known:
        return None
    return ModelFigures(
        frames=sum(one.frames for one in known),
        inference_histogram=_added([one.inference_histogram for one in known]),
        score_histogram=_added([one.score_histogram for one in known]),
    )


def _added(histograms: Sequence[list[int] | None]) -> list[int] | None:
    known = [one for one in histograms if one is not None]
    return [sum(column) for column in zip(*known, strict=True)] if known else None
