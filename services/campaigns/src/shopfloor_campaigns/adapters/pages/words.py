"""What the console calls things: each state has a word, a sign and a tone, never a colour alone."""

from __future__ import annotations

from dataclasses import dataclass

from shopfloor_campaigns.domain.campaigns import Status, WaveStatus
from shopfloor_campaigns.domain.gates import Answer
from shopfloor_campaigns.domain.jobs import JobState
from shopfloor_campaigns.domain.plan import Gate


@dataclass(frozen=True, slots=True)
class Word:
    """``tone`` is a class of the style sheet; ``means`` is told when somebody asks."""

    text: str
    sign: str
    tone: str
    means: str = ""


STATUS = {
    Status.DRAFT: Word("Draft", "○", "quiet", "Nobody has allowed it yet."),
    Status.APPROVED: Word("Approved", "◎", "info", "It may be started."),
    Status.RUNNING: Word("Running", "▶", "info", "Devices are being updated."),
    Status.PAUSED: Word("Paused", "‖", "warn", "No further device begins."),
    Status.STOPPED: Word("Stopped by a gate", "✕", "bad", "A wave did worse and goes back."),
    Status.ABORTED: Word("Aborted", "■", "bad", "A person ended it."),
    Status.DONE: Word("Done", "✓", "good", "Every wave passed."),
}
WAVE = {
    WaveStatus.WAITING: Word("Waiting", "○", "quiet"),
    WaveStatus.OPEN: Word("Running", "▶", "info"),
    WaveStatus.PASSED: Word("Passed", "✓", "good"),
    WaveStatus.FAILED: Word("Failed", "✕", "bad"),
    WaveStatus.OVERRULED: Word("Passed by a person", "✓", "warn"),
}
ANSWER = {
    Answer.PASS: Word("Pass", "✓", "good"),
    Answer.FAIL: Word("Fail", "✕", "bad"),
    Answer.WAIT: Word("Not decided yet", "…", "quiet"),
}
GROUPS = {
    "committed": Word("Committed", "✓", "good", "Runs the update for good."),
    "trial": Word("Trial", "◐", "trial", "Runs the update and can still go back by itself."),
    "shadow": Word("Shadow", "◑", "shadow", "Measures the update beside what it runs."),
    "downloading": Word("Downloading", "↓", "info", "Fetches and checks the update."),
    "waiting": Word("Waiting", "○", "quiet", "Has not begun."),
    "stopped": Word("Stopped", "■", "stop", "Was told to stop."),
    "rolled-back": Word("Rolled back", "↺", "warn", "Runs again what it ran before."),
    "failed": Word("Failed", "✕", "bad", "Did not take the update, or ran out of time."),
}
GROUP_OF = {
    JobState.WAITING: "waiting",
    JobState.QUEUED: "waiting",
    JobState.OFFERED: "waiting",
    JobState.RETRYING: "waiting",
    JobState.DOWNLOADING: "downloading",
    JobState.INSTALLING: "downloading",
    JobState.SHADOW: "shadow",
    JobState.TRIAL: "trial",
    JobState.CANCELING: "stopped",
    JobState.CANCELLED: "stopped",
    JobState.COMMITTED: "committed",
    JobState.ROLLED_BACK: "rolled-back",
    JobState.FAILED: "failed",
    JobState.ROLLBACK_FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class GateWord:
    """A gate's question, how its figure is written, and what a new plan starts with."""

    title: str
    asks: str
    unit: str
    limit: float
    minimum: int
    of: str
    """What the sample counts."""


GATES = {
    Gate.INSTALL_SUCCESS: GateWord(
        "Installed", "How many devices of the wave took it for good?", "%", 0.95, 1, "devices"
    ),
    Gate.COUNT_DIFFERENCE: GateWord(
        "Count difference",
        "Does it count as many people as the model it replaces, on the same frames?",
        "±%",
        0.05,
        1000,
        "crossings",
    ),
    Gate.DISAGREEMENT: GateWord(
        "Disagreement",
        "How often does only one of both count a person?",
        "%",
        0.1,
        1000,
        "crossings",
    ),
    Gate.CRASHES: GateWord(
        "Crashes", "How often does it crash in 1,000 hours?", "", 2.0, 360_000, "seconds observed"
    ),
    Gate.LATENCY_P99: GateWord(
        "Slowest frames",
        "How long do 99 of 100 frames take at most?",
        "ms",
        200.0,
        10_000,
        "frames",
    ),
    Gate.SCORE_DRIFT: GateWord(
        "Score drift", "How far do its scores lie from the old ones?", "", 0.2, 1000, "detections"
    ),
    Gate.ALERT_PRECISION: GateWord(
        "Right alerts", "How many alerts did staff call right?", "%", 0.8, 50, "alerts"
    ),
    Gate.AUDITED_ACCURACY: GateWord(
        "Audited accuracy", "How many crossings do auditors agree with?", "%", 0.9, 200, "crossings"
    ),
    Gate.ESCAPE_RATE: GateWord(
        "Missed defects", "How many inspected defects were let through?", "%", 0.02, 200, "defects"
    ),
}
DEFAULT_GATES = (Gate.INSTALL_SUCCESS, Gate.COUNT_DIFFERENCE, Gate.CRASHES)
EXECUTIONS = {
    "proceeding": "is at work",
    "download": "downloads",
    "downloaded": "has downloaded it",
    "scheduled": "has scheduled it",
    "resumed": "went on",
    "canceled": "stopped",
    "rejected": "refused",
    "closed": "ended",
}


def counted(count: int, unit: str) -> str:
    """Return a count of ``devices`` or ``seconds observed`` as people write it."""
    first, space, rest = unit.partition(" ")
    first = first.removesuffix("s") if count == 1 else first
    return f"{count:,} {first}{space}{rest}"


def written(value: float | None, unit: str) -> str:
    """Return a figure as people read it."""
    if value is None:
        return "–"
    if value in (float("inf"), float("-inf")):
        return "unbounded"
    if unit == "%":
        return f"{value * 100:.3g} %"
    if unit == "±%":
        # A true minus sign: a hyphen is too short to be seen in a table.
        return f"{value * 100:+.2f} %".replace("-", "−")
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return number + (f" {unit}" if unit else "")
