"""What a person sees: tables, JSON on request, progress on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO


class Screen:
    """Output of one command; figures and rows go to ``out``, remarks to ``err``."""

    def __init__(
        self, *, as_json: bool, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self._json = as_json
        self._out, self._err = out or sys.stdout, err or sys.stderr

    def table(
        self, rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, empty: str
    ) -> None:
        """Show rows as a table of ``columns``, or all that is known of them as JSON."""
        found = list(rows)
        if self._json:
            self._dump(found)
            return
        if not found:
            self.remark(empty)
            return
        cells = [[_cell(row.get(column)) for column in columns] for row in found]
        titles = [column.upper().replace("_", " ") for column in columns]
        widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
        for line in [titles, *cells]:
            padded = (text.ljust(width) for text, width in zip(line, widths, strict=True))
            print("  ".join(padded).rstrip(), file=self._out)

    def record(self, found: Mapping[str, Any]) -> None:
        """Show one thing, a line per field."""
        if self._json:
            self._dump(found)
            return
        width = max((len(key) for key in found), default=0)
        for key, value in found.items():
            print(f"{key.replace('_', ' '):{width}}  {_cell(value)}".rstrip(), file=self._out)

    def remark(self, text: str) -> None:
        """Say something beside the result."""
        print(text, file=self._err)

    def progress(self, sent: int, size: int) -> None:
        """Show how far an upload is, where somebody watches."""
        if self._err.isatty():
            end = "\n" if sent >= size else ""
            share = sent / size if size else 1.0
            line = f"\r{share:4.0%} of {size / 1e6:.1f} MB"
            print(line, end=end, file=self._err, flush=True)

    def _dump(self, found: object) -> None:
        print(json.dumps(found, indent=2, ensure_ascii=False), file=self._out)


def _cell(value: object) -> str:
    """Return a value in one line, without what a terminal would obey."""
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        text = ", ".join(f"{key}={one}" for key, one in value.items()) or "-"
    elif isinstance(value, list):
        text = ", ".join(str(one) for one in value) or "-"
    else:
        text = str(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text)
