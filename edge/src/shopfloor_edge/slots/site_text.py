"""A site file as TOML text, of what differs from the defaults."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from shopfloor_contracts.errors import SiteFileError
from shopfloor_contracts.site import SiteFile, parse_site

_BARE = re.compile(r"^[A-Za-z0-9_-]+$")
Value = object


def site_text(site: SiteFile, *, comment: str) -> str:
    """Return text that reads as ``site``; the comment stands above it, one line.

    Raises:
        SiteFileError: what was written does not read as the same site.
    """
    dumped = site.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    heading = "".join(c if c.isprintable() else " " for c in comment)
    text = "\n".join([f"# {heading}", *_table(dumped, "")]) + "\n"
    if parse_site(text, source="what was drawn") != site:
        raise SiteFileError("what was drawn", ["it cannot be written as a site file"])
    return text


def _table(values: Mapping[str, Value], path: str) -> list[str]:
    """Return the lines of a table: plain values first, as TOML wants it."""
    lines, below = [], []
    for key, value in values.items():
        name = key if _BARE.match(key) else _text(key)
        full = f"{path}.{name}" if path else name
        if isinstance(value, dict):
            below += ["", f"[{full}]", *_table(value, full)]
        elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            for one in value:
                below += ["", f"[[{full}]]", *_table(one, full)]
        else:
            lines.append(f"{name} = {_value(value)}")
    return lines + below


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"{type(value).__name__} has no place in a site file")


def _text(text: str) -> str:
    # A basic string of TOML is one of JSON, but for the character that JSON leaves as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
