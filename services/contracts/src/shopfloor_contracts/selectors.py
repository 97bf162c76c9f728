"""Which devices are meant, by label, in the language of Kubernetes' label selectors.

``region=emea,format in (hyper,super),!lab``: all terms must hold. ``key=value`` (``==`` is the
same), ``key!=value``, ``key in (a,b)``, ``key notin (a,b)``, ``key`` (there is such a label) and
``!key`` (there is none). ``!=`` and ``notin`` hold for a device without the label. An empty query
matches every device. Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from shopfloor_contracts.errors import SelectorError

MAX_LENGTH, MAX_TERMS = 1000, 50
LABEL_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$"
"""A label's key or value: 1–63 of ``A-Z a-z 0-9 . _ / -``, letters or digits at both ends."""
_WORD = re.compile(LABEL_PATTERN.strip("^$"))
_TOKEN = re.compile(r"\s*(?P<token>==|!=|[=!(),]|[A-Za-z0-9._/-]+|\S)")


class Operator(StrEnum):
    """How a term asks."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Term:
    """One condition on one label."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether ``labels`` meet this condition."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value in self.values
            case Operator.NOT_IN:
                return value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.ABSENT:
                return value is None


@dataclass(frozen=True, slots=True)
class Selector:
    """Terms that must all hold."""

    text: str
    terms: tuple[Term, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether every term holds."""
        return all(term.matches(labels) for term in self.terms)

    def warnings(self, known: Iterable[str], *, matched: int) -> list[str]:
        """Say which labels no device has, and when nothing matches."""
        names = sorted(set(known))
        said = []
        for key in sorted({term.key for term in self.terms} - set(names)):
            near = difflib.get_close_matches(key, names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(names)}"
            said.append(f"no device has a label {key!r}{hint}")
        if matched == 0:
            said.append("the query matches no device")
        return said


def parse_selector(text: str) -> Selector:
    """Read a query.

    Raises:
        SelectorError: it cannot be read; says what was found and what was expected, and where.
    """
    if len(text) > MAX_LENGTH:
        raise SelectorError(f"{text[:20]}…", MAX_LENGTH, f"longer than {MAX_LENGTH} characters")
    terms = tuple(_Parser(text).terms())
    if len(terms) > MAX_TERMS:
        raise SelectorError(f"{text[:20]}…", 0, f"found {len(terms)} terms, at most {MAX_TERMS}")
    return Selector(text.strip(), terms)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        # No token is longer than the text: nothing here backtracks.
        self._tokens = [(m["token"], m.start("token")) for m in _TOKEN.finditer(text)]
        self._next = 0

    def terms(self) -> Iterable[Term]:
        if not self._tokens:
            return
        yield self._term()
        while self._peek() == ",":
            self._take()
            yield self._term()
        if self._peek():
            raise self._complain("expected ',' or the end")

    def _term(self) -> Term:
        if self._peek() == "!":
            self._take()
            return Term(self._word("a label"), Operator.ABSENT)
        key = self._word("a label")
        match self._peek():
            case "=" | "==":
                self._take()
                return Term(key, Operator.IN, frozenset([self._word("a value")]))
            case "!=":
                self._take()
                return Term(key, Operator.NOT_IN, frozenset([self._word("a value")]))
            case "in" | "notin" as operator:
                self._take()
                return Term(key, Operator(operator), self._values())
        return Term(key, Operator.EXISTS)

    def _values(self) -> frozenset[str]:
        self._expect("(")
        values = [self._word("a value")]
        while self._peek() == ",":
            self._take()
            values.append(self._word("a value"))
        self._expect(")")
        return frozenset(values)

    def _expect(self, token: str) -> None:
        if self._peek() != token:
            raise self._complain(f"expected {token!r}")
        self._take()

    def _word(self, what: str) -> str:
        if not _WORD.fullmatch(self._peek()):
            raise self._complain(f"expected {what}")
        return self._take()

    def _peek(self) -> str:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        self._next += 1
        return self._tokens[self._next - 1][0]

    def _complain(self, expected: str) -> SelectorError:
        if self._next < len(self._tokens):
            token, at = self._tokens[self._next]
            return SelectorError(self._text, at, f"found {token!r}, {expected}")
        return SelectorError(self._text, len(self._text), f"found the end, {expected}")
