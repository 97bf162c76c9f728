"""The documents as files: a notice for the door in each language, the record, and the facts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from shopfloor_contracts.site import SiteFile
from shopfloor_provisioning.privacy.facts import (
    ALERT_DAYS,
    CLOUD_EVENT_DAYS,
    CLOUD_MINUTE_DAYS,
    HISTORY_DAYS,
    TRACK_MINUTES,
    Facts,
    read_facts,
)
from shopfloor_provisioning.privacy.notice_texts import LANGUAGES, notice_texts
from shopfloor_provisioning.privacy.points import guarantees, points


@dataclass(frozen=True, slots=True)
class Controller:
    """Who answers for the site; empty: a line to fill in by hand."""

    name: str = ""
    contact: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """What a run wrote."""

    files: list[Path]
    digest: str
    changed: list[str]
    """Devices and settings that differ from the documents that were there; empty where none do."""


def write_privacy(
    sites: Sequence[SiteFile], into: Path, *, today: date, controller: Controller | None = None
) -> Written:
    """Write the documents of one site (all its devices' site files) into a folder.

    Settings that differ from what the folder's documents were about are named: their sign-off does
    not hold any more.
    """
    facts = read_facts(sites)
    into.mkdir(parents=True, exist_ok=True)
    before = _read_facts_file(into / "privacy.json")
    now = {"digest": facts.digest, "facts": json.loads(json.dumps(asdict(facts)))}
    texts = {
        f"notice-{language}.html": _notice(facts, language, controller) for language in LANGUAGES
    }
    texts["record.html"] = _record(facts, today, controller)
    texts["privacy.json"] = json.dumps(now, indent=1, sort_keys=True) + "\n"
    files = []
    for name, text in texts.items():
        path = into / name
        path.write_text(text, encoding="utf-8")
        files.append(path)
    changed = [] if before is None else sorted(_differences(before, now["facts"], ""))
    return Written(files, facts.digest, changed)


def _notice(facts: Facts, language: str, controller: Controller | None) -> str:
    (known,) = [one for one in LANGUAGES if one == language]
    return (
        _environment()
        .get_template("notice.html")
        .render(
            language=known,
            facts=facts,
            t=notice_texts(facts, known),
            controller=controller or Controller(),
        )
    )


def _record(facts: Facts, today: date, controller: Controller | None) -> str:
    return (
        _environment()
        .get_template("record.html")
        .render(
            facts=facts,
            today=today.isoformat(),
            controller=controller or Controller(),
            points=points(facts),
            guarantees=guarantees(facts),
            alert_days=ALERT_DAYS,
            history_days=HISTORY_DAYS,
            track_minutes=TRACK_MINUTES,
            cloud_event_days=CLOUD_EVENT_DAYS,
            cloud_minute_days=CLOUD_MINUTE_DAYS,
        )
    )


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("shopfloor_provisioning.privacy"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _read_facts_file(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))["facts"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _differences(before: object, now: object, where: str) -> list[str]:
    """Return the paths at which two JSON values differ; a list of named things is one by name."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        return [
            line
            for key in keys
            for line in _differences(before.get(key), now.get(key), f"{where}.{key}".strip("."))
        ]
    if isinstance(before, list) and isinstance(now, list) and _are_named(before + now):
        return _differences(_by_name(before), _by_name(now), where)
    return [] if before == now else [where]


def _are_named(things: list[object]) -> bool:
    return bool(things) and all(isinstance(thing, dict) and "name" in thing for thing in things)


def _by_name(things: list[object]) -> dict[str, object]:
    return {str(thing["name"]): thing for thing in things if isinstance(thing, dict)}
