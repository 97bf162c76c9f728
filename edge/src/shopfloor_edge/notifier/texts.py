"""What a notice says: rule, camera, zone and time. English and German."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from shopfloor_contracts.rules import Severity
from shopfloor_edge.notifier.domain import WEIGHT, Notice, Reason

Language = Literal["en", "de"]
LINES_MAX = 10
"""A message names so many alerts; of the others it says how many they are."""

_WORDS = {
    "en": {
        "info": "Note", "warning": "Warning", "critical": "Critical",
        "many": "{count} alerts", "more": "and {count} more", "again": "still open",
        "camera": "camera", "since": "since", "open": "Open the console:",
        "people": "too many people", "queue-length": "long queue", "queue-wait": "long wait",
        "loitering": "somebody stays long", "restricted": "somebody in a closed area",
        "wrong-way": "somebody goes the wrong way", "slot-empty": "empty place on a shelf",
        "slot-wrong": "wrong product on a shelf", "compliance": "shelf out of order",
        "defect-rate": "more defects than usual", "line-stop": "line stopped",
    },
    "de": {
        "info": "Hinweis", "warning": "Warnung", "critical": "Dringend",
        "many": "{count} Meldungen", "more": "und {count} weitere", "again": "noch offen",
        "camera": "Kamera", "since": "seit", "open": "Zur Konsole:",
        "people": "zu viele Personen", "queue-length": "lange Schlange",
        "queue-wait": "lange Wartezeit", "loitering": "jemand hält sich lange auf",
        "restricted": "jemand in einem gesperrten Bereich",
        "wrong-way": "jemand geht in die falsche Richtung",
        "slot-empty": "leerer Platz im Regal", "slot-wrong": "falsche Ware im Regal",
        "compliance": "Regal nicht in Ordnung", "defect-rate": "mehr Fehler als üblich",
        "line-stop": "Linie steht",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """One message of one or more alerts."""

    title: str
    body: str
    severity: Severity
    link: str
    """To the console; empty where the site file names none."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Puts notices into words."""

    site: str
    language: Language
    zone: ZoneInfo
    console_url: str = ""

    def write(self, notices: Sequence[Notice]) -> Message:
        """Return one message about ``notices`` (at least one), the gravest and newest first."""
        words = _WORDS[self.language]
        ordered = sorted(notices, key=lambda n: (-WEIGHT[n.severity], -n.raised_at))
        gravest = ordered[0].severity
        lines = [self._line(notice) for notice in ordered[:LINES_MAX]]
        if len(ordered) > LINES_MAX:
            lines.append(words["more"].format(count=len(ordered) - LINES_MAX))
        link = f"{self.console_url}/" if self.console_url else ""
        if link:
            lines.append(f"{words['open']} {link}")
        what = ordered[0].rule if len(ordered) == 1 else words["many"].format(count=len(ordered))
        title = f"{words[gravest]}: {what} ({self.site})"
        return Message(title, "\n".join(lines), gravest, link)

    def _line(self, notice: Notice) -> str:
        words = _WORDS[self.language]
        at = datetime.fromtimestamp(notice.raised_at, self.zone)
        parts = [
            f"{notice.rule}: {words[notice.metric]}" if notice.metric in words else notice.rule
        ]
        parts += [notice.about] if notice.about else []
        parts += [f"{words['camera']} {notice.camera}", f"{words['since']} {at:%H:%M}"]
        parts += [words["again"]] if notice.reason is Reason.REMINDER else []
        return " · ".join(parts)
