"""The report as one HTML file that needs nothing else, and as JSON."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import segno
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic.main import IncEx

from shopfloor_provisioning.report.contents import Report

_TEMPLATES = Path(__file__).parent


def write_report(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write ``commissioning.html`` and ``.json``; return both paths.

    Pictures are in the page and not in the JSON: they are masked, and still leave with nobody.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / "commissioning.html", folder / "commissioning.json"
    _replace(page, render(report))
    per_device: dict[str, IncEx] = {
        "cameras": {"__all__": {"seen": {"snapshot"}}},
        "collected": {"cameras"},
    }
    hidden: dict[str, IncEx] = {"devices": {"__all__": per_device}}
    _replace(data, report.model_dump_json(indent=1, exclude=hidden))
    return page, data


def render(report: Report) -> str:
    """Return the page; every text is escaped, a camera's name too."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["qr"] = _qr
    environment.filters["picture"] = _picture
    return environment.get_template("page.html.jinja").render(report=report)


def _qr(url: str) -> str:
    return segno.make(url, error="m", micro=False).svg_data_uri(scale=4, border=2)


def _picture(encoded: str) -> str:
    kind = "png" if base64.b64decode(encoded[:8]).startswith(b"\x89PN") else "jpeg"
    return f"data:image/{kind};base64,{encoded}"


def _replace(path: Path, text: str) -> None:
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_text(text, encoding="utf-8")
    half.replace(path)
