"""How far a stream is complete. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message of a stream, also when its event was already stored (then not ``fresh``)."""

    seq: int
    prevseq: int | None
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far a stream is complete.

    ``dropped`` is the number of sequences up to ``up_to`` that never arrived, because the
    device dropped them. ``waiting`` maps what arrived ahead to its smallest ``prevseq``.
    """

    up_to: int = 0
    dropped: int = 0
    waiting: Mapping[int, int] = field(default_factory=dict)


def extend(mark: Watermark, arrivals: Iterable[Arrival]) -> Watermark:
    """Move a watermark over everything that is now complete.

    An event extends the mark to its ``seq`` if nothing undropped lies between: ``prevseq`` is
    at or below the mark. What is reached does not depend on order, duplicates or batches.
    """
    waiting, dropped = dict(mark.waiting), mark.dropped
    for arrival in arrivals:
        if arrival.seq > mark.up_to:
            prevseq = arrival.seq - 1 if arrival.prevseq is None else arrival.prevseq
            # Resent after drops, an event has a smaller prevseq than when it was first sent.
            waiting[arrival.seq] = min(prevseq, waiting.get(arrival.seq, prevseq))
        elif arrival.fresh:
            dropped -= 1  # the device gave it up, yet it was only late
    up_to = mark.up_to
    for seq in sorted(waiting):
        if waiting[seq] <= up_to:
            up_to = seq
    reached = sum(seq <= up_to for seq in waiting)
    ahead = {seq: prevseq for seq, prevseq in waiting.items() if seq > up_to}
    return Watermark(up_to, dropped + up_to - mark.up_to - reached, ahead)
