"""What an alert says to the staff: a headline, why, and what to do, in their language."""

from __future__ import annotations

from dataclasses import dataclass

from shopfloor_edge.console import texts
from shopfloor_edge.journal.alerts import AlertRow

_SECONDS = ("queue-wait", "loitering")


@dataclass(frozen=True, slots=True)
class Words:
    """Of one alert."""

    title: str
    why: str
    """Figure and limit; empty where the title says all."""
    todo: str


def words_of(row: AlertRow, language: str) -> Words:
    """Put an alert into words; one of a metric that this version does not know too."""
    metric = row.metric if texts.has(f"alert.{row.metric}") else "other"
    values: dict[str, object] = {
        "count": 1 if row.value == 1 else 2,  # of people: the singular or the plural
        "about": row.about or row.camera,
        "camera": row.camera,
        "rule": row.rule,
        "value": _figure(row.metric, row.value, language),
        "threshold": _figure(row.metric, row.threshold, language),
    }
    why = row.note or _say(f"alert.{metric}_why", language, values)
    return Words(
        title=texts.say(language, f"alert.{metric}", **values),
        why=why,
        todo=_say(f"alert.{metric}_todo", language, values),
    )


def duration(seconds: float, language: str) -> str:
    """Return a time that a person can grasp: seconds, minutes or hours."""
    if seconds < 100:
        return texts.say(language, "alert.seconds", count=round(seconds))
    if seconds < 5400:
        return texts.say(language, "alert.minutes", count=round(seconds / 60))
    return texts.say(language, "alert.hours", count=round(seconds / 3600))


def _say(key: str, language: str, values: dict[str, object]) -> str:
    return texts.say(language, key, **values) if texts.has(key) else ""


def _figure(metric: str, value: float, language: str) -> str:
    if metric in _SECONDS:
        return duration(value, language)
    if metric == "compliance":
        return f"{value * 100:.0f} %"
    return f"{value:.4g}"
