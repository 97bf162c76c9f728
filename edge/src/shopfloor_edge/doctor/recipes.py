"""Whether a station's recipe can be run here: its files, its judge and its golden parts."""

from __future__ import annotations

from pathlib import Path

from shopfloor_edge.doctor.child import ask_module
from shopfloor_edge.doctor.findings import Finding, Level

AREA = "inspection"
LIMIT_S = 120.0
"""For a judge with a network and two hundred golden parts."""


def check_recipe(path: Path) -> list[Finding]:
    """Let ``inspect check`` judge the golden parts, in a process of its own."""
    answer = ask_module(
        "shopfloor_edge.main", "inspect", "check", "--recipe", str(path), "--json", limit_s=LIMIT_S
    )
    if answer.failure:
        remedy = "mend the recipe: shopfloor-edge inspect check --recipe FILE"
        return [Finding(AREA, path.name, Level.BAD, answer.failure, remedy)]
    said = answer.values
    found = f"station {said.get('station')}, judge {said.get('judge')}"
    findings = [Finding(AREA, path.name, Level.OK, found), _golden(path.name, said)]
    for extra in _texts(said.get("absent_extras")):
        remedy = f"pip install 'shopfloor-edge[{extra}]'"
        findings.append(Finding(AREA, f"extra {extra}", Level.BAD, "not installed", remedy))
    return findings


def _golden(name: str, said: dict[str, object]) -> Finding:
    wrong, count = _texts(said.get("wrong")), said.get("golden")
    if wrong:
        remedy = "look at the camera and its light; the station would not be released"
        return Finding(AREA, "golden parts", Level.BAD, "; ".join(wrong), remedy)
    if not count:
        remedy = f"name good and bad parts in [[golden]] of {name}"
        return Finding(AREA, "golden parts", Level.WARN, "none: nothing is tried", remedy)
    return Finding(AREA, "golden parts", Level.OK, f"{count} judged rightly")


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []
