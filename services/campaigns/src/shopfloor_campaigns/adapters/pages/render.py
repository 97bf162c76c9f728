"""Templates to HTML: everything is escaped, an unknown name is an error."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shopfloor_campaigns.adapters.pages.sessions import Signed
from shopfloor_campaigns.adapters.pages.words import counted

_HERE = Path(__file__).parent
STATIC = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


def page(
    template: str, signed: Signed | None, *, status: int = 200, **context: Any
) -> HTMLResponse:
    """Return a whole page, with the headers that keep others' scripts out."""
    html = text(template, signed=signed, **context)
    return HTMLResponse(html, status_code=status, headers=HEADERS)


def text(template: str, **context: Any) -> str:
    """Return a template's HTML."""
    return _environment().get_template(template).render(**context)


@lru_cache(maxsize=len(STATIC))
def static(name: str) -> bytes:
    """Return a file beside the templates."""
    return (_HERE / "static" / name).read_bytes()


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"iso": _iso, "utc": _utc, "short": _short, "size": _size, "of": counted}
    # Browsers keep the files until their content changes.
    content = b"".join(static(name) for name in STATIC)
    environment.globals["files"] = hashlib.sha256(content).hexdigest()[:12]
    return environment


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _short(digest: str) -> str:
    return digest[:12]


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
