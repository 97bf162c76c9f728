"""Templates to HTML: everything is escaped, an unknown name is an error."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from shopfloor_edge.console import texts
from shopfloor_edge.console.navigation import Place
from shopfloor_edge.console.people import Person

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
THEMES = ("auto", "light", "dark")


@dataclass(frozen=True, slots=True)
class Visit:
    """Who asks for a page, and how they want to see it."""

    person: Person | None
    language: str
    theme: str
    csrf: str
    path: str


class Templates:
    """The environment of the templates.

    Args:
        site: name of the site, on every page.
        time_zone: IANA name; instants on pages are of the site's clock.
        places: the pages of the navigation.
    """

    def __init__(
        self,
        site: str,
        time_zone: str,
        languages: tuple[str, ...],
        places: Callable[[], Sequence[Place]],
    ) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.zone = ZoneInfo(time_zone)
        self._environment.filters |= {"iso": _iso, "clock": self.clock, "day": self.day}
        self._environment.globals |= {
            "t": _say,
            "static": static_url,
            "csrf_field": _csrf_field,
            "site_name": site,
            "languages": {code: texts.LANGUAGES[code] for code in languages},
            "themes": THEMES,
            "places": places,
        }

    def render(self, template: str, visit: Visit, context: Mapping[str, Any]) -> str:
        """Return a template's HTML."""
        return self._environment.get_template(template).render(
            **context,
            visit=visit,
            person=visit.person,
            language=visit.language,
            theme=visit.theme,
            csrf=visit.csrf,
        )

    def clock(self, at: datetime) -> str:
        """Return hours and minutes of the site's clock."""
        return at.astimezone(self.zone).strftime("%H:%M")

    def day(self, at: datetime) -> str:
        """Return day, hours and minutes of the site's clock."""
        return at.astimezone(self.zone).strftime("%Y-%m-%d %H:%M")


@cache
def static_url(name: str) -> str:
    """Return the address of a static file; browsers keep it until its content changes."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


@pass_context
def _say(context: Context, key: str, **values: object) -> str:
    return texts.say(context["language"], key, **values)


@pass_context
def _csrf_field(context: Context) -> Markup:
    return Markup('<input type="hidden" name="csrf" value="{}">').format(escape(context["csrf"]))


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
