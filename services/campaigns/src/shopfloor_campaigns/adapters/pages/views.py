"""What a campaign's page shows, made of a report: bars, gates, a sentence, what happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shopfloor_campaigns.adapters.pages.plots import Plot, plot
from shopfloor_campaigns.adapters.pages.words import (
    ANSWER,
    GATES,
    GROUP_OF,
    GROUPS,
    WAVE,
    GateWord,
    Word,
    counted,
    written,
)
from shopfloor_campaigns.domain.campaigns import Status, WaveStatus
from shopfloor_campaigns.domain.gates import Answer
from shopfloor_campaigns.domain.jobs import JobState
from shopfloor_campaigns.domain.plan import Gate

Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a wave's bar; ``x`` and ``width`` in percent."""

    group: str
    word: Word
    count: int
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class GateView:
    """A gate of a wave: its last verdict, and the looks before it."""

    word: GateWord
    answer: Word
    figure: str
    interval: str
    limit: str
    sample: int
    minimum: int
    confidence: float
    explanation: str
    plot: Plot | None
    at: datetime | None
    earlier: tuple[Report, ...] = ()


@dataclass(frozen=True, slots=True)
class WaveView:
    """A wave of the row. ``size`` is what it has, or what the plan says of one not yet filled."""

    number: int
    word: Word
    status: str
    round: int
    size: int
    planned: str
    ended: int
    segments: tuple[Segment, ...]
    gates: tuple[GateView, ...]
    opened_at: datetime | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of what happened."""

    at: datetime
    text: str
    word: Word
    reason: str = ""


def wave_views(report: Report) -> list[WaveView]:
    """Return the waves of a campaign's report."""
    plan = report["plan"]
    return [
        _wave(wave, str(planned), plan)
        for wave, planned in zip(report["waves"], plan["waves"], strict=True)
    ]


def _wave(wave: Report, planned: str, plan: Report) -> WaveView:
    states: Mapping[str, int] = wave["devices"]
    rounds = [v for v in wave["verdicts"] if v["round"] == wave["round"]]
    ended = ("committed", "failed", "cancelled", "rolled-back", "rollback-failed")
    opened = wave["status"] != WaveStatus.WAITING
    return WaveView(
        number=wave["number"],
        word=WAVE[WaveStatus(wave["status"])],
        status=wave["status"],
        round=wave["round"],
        size=sum(states.values()),
        planned=planned if planned.endswith("%") else counted(int(planned), "devices"),
        ended=sum(states.get(state, 0) for state in ended),
        segments=segments(states),
        gates=tuple(_gate(rule, rounds) for rule in plan["gates"]) if opened else (),
        opened_at=wave["opened_at"],
        decided_at=wave["decided_at"],
    )


def segments(states: Mapping[str, int]) -> tuple[Segment, ...]:
    """Return a bar: groups in the order of how far they are, without those that are empty."""
    counts: Counter[str] = Counter()
    for state, number in states.items():
        counts[GROUP_OF[JobState(state)]] += number
    total, x, found = sum(counts.values()), 0.0, []
    for group, word in GROUPS.items():
        if counts[group]:
            width = 100 * counts[group] / total
            found.append(Segment(group, word, counts[group], round(x, 3), round(width, 3)))
            x += width
    return tuple(found)


def _gate(rule: Report, verdicts: list[Report]) -> GateView:
    gate = Gate(rule["gate"])
    word = GATES[gate]
    mine = [verdict for verdict in verdicts if verdict["gate"] == gate]
    if not mine:
        return GateView(
            word=word,
            answer=ANSWER[Answer.WAIT],
            figure="–",
            interval="",
            limit=written(rule["limit"], word.unit).lstrip("+"),
            sample=0,
            minimum=rule["minimum"],
            confidence=rule["confidence"],
            explanation="Looked at once the sample is large enough, at each doubling, at the end.",
            plot=None,
            at=None,
        )
    last = mine[-1]
    return GateView(
        word=word,
        answer=ANSWER[Answer(last["answer"])],
        figure=written(last["figure"], word.unit),
        interval=f"{written(last['low'], word.unit)} to {written(last['high'], word.unit)}",
        limit=written(last["limit"], word.unit).lstrip("+"),
        sample=last["sample"],
        minimum=last["minimum"],
        confidence=last["confidence"],
        explanation=last["explanation"],
        plot=plot(last),
        at=last["at"],
        earlier=tuple(reversed(mine[:-1])),
    )


_SENTENCES = {
    Status.DRAFT: "An approver has to allow it before it can start.",
    Status.APPROVED: "Ready: the first wave opens when somebody starts it.",
    Status.DONE: "Every wave passed.",
    Status.ABORTED: "It is over. Devices that had committed keep the update.",
}


def sentence(report: Report, waves: Iterable[WaveView]) -> str:
    """Say where a campaign is, and what comes next, in one line."""
    status, number = Status(report["status"]), report["wave"]
    wave = next((wave for wave in waves if wave.number == number), None)
    if status in _SENTENCES or wave is None:
        return _SENTENCES.get(status, "Every wave has ended.")
    return f"Wave {number} of {report['of']}{_of_wave(status, wave)}"


def _of_wave(status: Status, wave: WaveView) -> str:
    if status is Status.STOPPED:
        return " failed a gate. Its devices go back to what they ran before."
    if status is Status.PAUSED:
        return " is paused: devices that have begun go on, no other begins."
    if wave.status == WaveStatus.WAITING:
        return " opens as soon as its time window allows."
    if wave.ended == wave.size:
        return ": every device has ended; its gates decide."
    has = "has" if wave.size == 1 else "have"
    return f": {wave.ended} of {counted(wave.size, 'devices')} {has} ended."


_DID = {
    "create": ("wrote the plan", Word("", "✎", "quiet")),
    "approved": ("approved it", Word("", "◎", "info")),
    "started": ("started it", Word("", "▶", "info")),
    "paused": ("paused it", Word("", "‖", "warn")),
    "resumed": ("let it go on", Word("", "▶", "info")),
    "aborted": ("aborted it", Word("", "■", "bad")),
}
_BECAME = {
    "stopped": ("A gate failed: the campaign stopped and takes the wave back", "✕", "bad"),
    "paused": ("Undecided for too long: paused, a person has to look", "‖", "warn"),
    "done": ("The last wave passed: done", "✓", "good"),
}


def timeline(report: Report, entries: Iterable[Report]) -> list[Happened]:
    """Return what happened, the newest first: people's orders and the waves' own steps."""
    found = [line for entry in reversed(list(entries)) if (line := _told(entry)) is not None]
    for wave in report["waves"]:
        number = wave["number"]
        if wave["opened_at"]:
            found.append(
                Happened(wave["opened_at"], f"Wave {number} opened", WAVE[WaveStatus.OPEN])
            )
        if wave["decided_at"]:
            word = WAVE[WaveStatus(wave["status"])]
            text = f"Wave {number}: {word.text.lower()}"
            found.append(Happened(wave["decided_at"], text, word))
    return sorted(found, key=lambda line: line.at)[::-1]


def _told(entry: Report) -> Happened | None:
    detail = entry["detail"]
    reason = str(detail.get("reason", ""))
    if entry["action"] in _DID:
        text, word = _DID[entry["action"]]
        return Happened(entry["at"], f"{entry['actor']} {text}", word, reason)
    became = _BECAME.get(detail.get("to", ""))
    if entry["action"] != "decide" or became is None:
        return None
    return Happened(entry["at"], became[0], Word("", became[1], became[2]), reason)
