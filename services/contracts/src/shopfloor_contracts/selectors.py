"""Which devices are meant: ``region=emea,format in (hyper,super),!lab``. All terms must hold.

The language is that of Kubernetes' label selectors: ``key``, ``!key``, ``key=value``,
``key==value``, ``key!=value``, ``key in (a,b)``, ``key notin (a,b)``. A device without the key
satisfies ``!=`` and ``notin``. An empty text means every device.
Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shopfloor_contracts.errors import SelectorError

MAX_LENGTH, MAX_TERMS = 1000, 50
LABEL_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$"
"""A label's key or value: 1–63 of ``A-Z a-z 0-9 . _ / -``, letters or digits at both ends."""

_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?"
_SET = re.compile(rf"({_WORD})\s+(in|notin)\s*\(([^()]*)\)")
_EQUAL = re.compile(rf"({_WORD})\s*(==|=|!=)\s*({_WORD})")
_EXISTS = re.compile(rf"(!?)\s*({_WORD})")
_WHOLE_WORD = re.compile(_WORD)


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. ``values`` empty asks for the key alone; ``negated`` turns it round."""

    key: str
    values: frozenset[str] = frozenset()
    negated: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether a device with ``labels`` satisfies it."""
        found = labels.get(self.key)
        holds = found is not None if not self.values else found in self.values
        return holds is not self.negated


@dataclass(frozen=True, slots=True)
class Selector:
    """Terms that must all hold."""

    text: str
    terms: tuple[Term, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether a device with ``labels`` is meant."""
        return all(term.matches(labels) for term in self.terms)


def parse_selector(text: str) -> Selector:
    """Read a selector.

    Raises:
        SelectorError: not of the language; the message shows the first term that is not.
    """
    if len(text) > MAX_LENGTH:
        raise SelectorError(f"selector has {len(text)} characters, expected at most {MAX_LENGTH}")
    terms = tuple(_term(part) for part in _split(text)) if text.strip() else ()
    if len(terms) > MAX_TERMS:
        raise SelectorError(f"selector has {len(terms)} terms, expected at most {MAX_TERMS}")
    return Selector(text.strip(), terms)


def _split(text: str) -> list[str]:
    """Cut at commas outside of parentheses."""
    parts, depth, begin = [], 0, 0
    for place, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth not in (0, 1):
            raise SelectorError(f"selector {text!r} has unbalanced parentheses")
        if letter == "," and depth == 0:
            parts.append(text[begin:place])
            begin = place + 1
    if depth:
        raise SelectorError(f"selector {text!r} has unbalanced parentheses")
    return [*parts, text[begin:]]


def _term(text: str) -> Term:
    part = text.strip()
    if found := _SET.fullmatch(part):
        values = [value.strip() for value in found[3].split(",")]
        if all(_WHOLE_WORD.fullmatch(value) for value in values):
            return Term(found[1], frozenset(values), negated=found[2] == "notin")
    elif found := _EQUAL.fullmatch(part):
        return Term(found[1], frozenset({found[3]}), negated=found[2] == "!=")
    elif found := _EXISTS.fullmatch(part):
        return Term(found[2], negated=found[1] == "!")
    raise SelectorError(
        f"selector term {part!r} is none of: key, !key, key=value, key!=value, "
        "key in (a,b), key notin (a,b)"
    )
