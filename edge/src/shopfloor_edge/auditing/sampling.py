"""Which of the kept clips a person is shown: a stratified draw with recorded probabilities.

Strata are how busy the clip was (nobody, one or two, more) by quarter of the day. More is drawn
where counts vary more: as Neyman's allocation, with the spread of a Poisson count standing in for
the one that nobody knows yet. A stratum is never left out, so that every clip had its chance.
Source: Neyman 1934, "On the two different aspects of the representative method".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random

LEAST = 2
"""Clips of a stratum where it has as many: fewer say nothing about how much they vary."""
QUARTER_H = 6
_NOBODY = 0.25
"""People that the spread of an empty clip stands for: somebody may have been missed in it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A clip that may be shown."""

    clip: str
    hour: int
    people: float
    """Mean head count that the device had in it, over the whole picture."""
    weight: float
    """One over the probability that it was kept, at least 1."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A clip that is to be shown."""

    clip: str
    stratum: str
    probability: float
    """That the draw takes it, given that it was kept; in (0, 1]."""
    weight: float
    """One over the probability of both draws: so many moments of the day it stands for."""


def busy_level(people: float) -> int:
    """Return 0 for nobody, 1 for one or two people, 2 for more."""
    return 0 if people < 0.05 else 1 if people <= 2.0 else 2


def draw_set(candidates: Sequence[Candidate], size: int, random: Random) -> list[Drawn]:
    """Draw ``size`` clips, or all where there are fewer, in the order in which they are shown."""
    strata = _strata(candidates, size)
    numbers = _allocated(strata, min(size, len(candidates)))
    drawn = []
    for name, members in sorted(strata.items()):
        number = numbers[name]
        probability = number / len(members)
        drawn += [
            Drawn(one.clip, name, probability, one.weight / probability)
            for one in random.sample(members, number)
        ]
    # In an order that tells nothing of how busy the next one is.
    random.shuffle(drawn)
    return drawn


def _strata(candidates: Sequence[Candidate], size: int) -> dict[str, list[Candidate]]:
    fine: dict[str, list[Candidate]] = {}
    coarse: dict[str, list[Candidate]] = {}
    for one in candidates:
        busy = f"busy-{busy_level(one.people)}"
        fine.setdefault(f"{busy}/quarter-{one.hour // QUARTER_H}", []).append(one)
        coarse.setdefault(busy, []).append(one)
    if size >= LEAST * len(fine):
        return fine
    return coarse if size >= LEAST * len(coarse) else {"all": list(candidates)}


def _allocated(strata: dict[str, list[Candidate]], size: int) -> dict[str, int]:
    """Return how many of each stratum: the least of each, the rest where counts vary more."""
    numbers = {name: min(LEAST, len(members)) for name, members in strata.items()}
    if sum(numbers.values()) > size:
        # Only "all" can be smaller than its least.
        return dict.fromkeys(strata, size)
    share = {
        name: sum(one.weight * sqrt(one.people + _NOBODY) for one in members)
        for name, members in strata.items()
    }
    for _ in range(size - sum(numbers.values())):
        open_ = [name for name, members in strata.items() if numbers[name] < len(members)]
        # Whose next clip is worth most: Sainte-Laguë's way to share whole seats.
        best = max(open_, key=lambda name: share[name] / (2 * numbers[name] + 1))
        numbers[best] += 1
    return numbers
