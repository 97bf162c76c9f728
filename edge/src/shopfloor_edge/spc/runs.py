"""Run rules on a chart of standardised subgroups: patterns that chance seldom makes.

Source: Western Electric, Statistical Quality Control Handbook (1956); run lengths of the rules
together: Champ, Woodall: Exact results for Shewhart control charts with supplementary runs rules
(Technometrics 29, 1987). Each rule more makes false alarms more frequent: all four signal every
92 subgroups of a normal process, the first alone every 370.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum

HISTORY = 8


class Rule(StrEnum):
    """What was seen, on one side of the centre."""

    BEYOND_3 = "beyond-3-sigma"
    TWO_OF_THREE = "2-of-3-beyond-2-sigma"
    FOUR_OF_FIVE = "4-of-5-beyond-1-sigma"
    EIGHT = "8-on-one-side"


_NEED = (
    (Rule.BEYOND_3, 1, 1, 3.0),
    (Rule.TWO_OF_THREE, 2, 3, 2.0),
    (Rule.FOUR_OF_FIVE, 4, 5, 1.0),
    (Rule.EIGHT, 8, 8, 0.0),
)


class RunRules:
    """Looks at the last subgroups.

    Below the centre the same patterns mean fewer defects than ever: good news, or a blind judge.

    Args:
        rules: which of the rules are asked.
    """

    def __init__(self, rules: frozenset[Rule] = frozenset(Rule)) -> None:
        self._needs = tuple(need for need in _NEED if need[0] in rules)
        self._last: deque[float] = deque(maxlen=HISTORY)

    def update(self, z: float) -> tuple[list[Rule], list[Rule]]:
        """Take one subgroup, in standard deviations from the centre.

        Returns:
            The rules that hold now above the centre, and those below it. A rule that asks for
            ``k`` of ``n`` holds only when the newest is one of them.
        """
        self._last.append(z)
        return self._holding(1.0), self._holding(-1.0)

    def _holding(self, side: float) -> list[Rule]:
        last = [side * z for z in self._last]
        return [
            rule
            for rule, count, among, beyond in self._needs
            if last[-1] > beyond and sum(z > beyond for z in last[-among:]) >= count
        ]

    def reset(self) -> None:
        """Forget what was seen."""
        self._last.clear()
