"""What people ask of a station and say to it, from the command line."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from shopfloor_contracts.recipes import Recipe
from shopfloor_edge.errors import OperatorError
from shopfloor_edge.inspection.feedback import rates_of
from shopfloor_edge.journal.part_views import EVIDENCE_FOLDER
from shopfloor_edge.journal.parts import (
    Overrule,
    give_command,
    overrule,
    read_known,
    read_overrules,
    read_parts,
    stations_of,
)
from shopfloor_edge.station.app import run_station
from shopfloor_edge.station.judging import build_judges, judge_golden
from shopfloor_edge.station.recipe_file import load_recipe

MAX_NAME = 60


def run_inspect(arguments: argparse.Namespace) -> int:
    """Run one action of ``shopfloor-edge inspect``; return the exit code.

    Raises:
        OperatorError: a recipe, station or part that cannot be used.
        JournalError: the journal cannot be read or written now.
    """
    if arguments.action == "run":
        return run_station(arguments.recipe, arguments.state, dry_run=arguments.dry_run)
    if arguments.action == "check":
        return _check(arguments.recipe, as_json=arguments.json)
    return _converse(arguments.state, arguments)


def _converse(folder: Path, arguments: argparse.Namespace) -> int:
    """Run an action on the book of a station, which may be running."""
    station = _station(folder, arguments.station)
    if arguments.action in ("stop", "restart", "release"):
        give_command(folder, station, arguments.action, arguments.by[:MAX_NAME])
        print(f"station {station} is told to {arguments.action}")
        return 0
    if arguments.action == "overrule":
        return _overrule(folder, station, arguments)
    if arguments.action == "rates":
        return _rates(folder, station, as_json=arguments.json)
    if arguments.action == "labels":
        return _labels(folder, station, arguments.out)
    return _status(folder, station, as_json=arguments.json)


def _station(folder: Path, name: str | None) -> str:
    known = stations_of(folder)
    if name is not None and name not in known:
        there = ", ".join(known) or "none"
        raise OperatorError(f"no station {name!r} in {folder}; there is {there}")
    if name is None and len(known) != 1:
        raise OperatorError(
            f"{folder} has {len(known)} stations ({', '.join(known)}), say which: --station NAME"
        )
    return name or known[0]


def _check(path: Path, *, as_json: bool) -> int:
    recipe = load_recipe(path)
    wrong, absent = judge_golden(recipe, build_judges(recipe)), absent_extras(recipe)
    if as_json:
        said = {"station": recipe.station, "version": recipe.version, "golden": len(recipe.golden),
                "wrong": wrong, "absent_extras": absent, "judge": recipe.judge.kind}  # fmt: skip
        print(json.dumps(said))
    else:
        print(
            f"station {recipe.station}, recipe {recipe.version}: {len(recipe.products)} products, "
            f"judge {recipe.judge.kind}, trigger {recipe.trigger.kind}"
        )
        print(f"golden parts: {len(recipe.golden) - len(wrong)} of {len(recipe.golden)} right")
        for line in wrong:
            print(f"  {line}")
        for extra in absent:
            print(f"  pip install 'shopfloor-edge[{extra}]' brings what this recipe asks for")
    return 2 if wrong or absent else 0


def absent_extras(recipe: Recipe) -> list[str]:
    """Return the extras that a recipe asks for and that are not installed."""
    outputs = recipe.outputs
    opcua = outputs.opcua_server or outputs.opcua_client or recipe.trigger.kind == "opcua"
    gpio = outputs.gpio or recipe.trigger.kind == "gpio"
    wanted = [("opcua", "asyncua", opcua), ("gpio", "gpiod", gpio)]
    return [extra for extra, module, asked in wanted if asked and find_spec(module) is None]


def _status(folder: Path, station: str, *, as_json: bool) -> int:
    known: dict[str, Any] = json.loads(read_known(folder, station) or "{}")
    totals, guard = known.get("all_time", {}), known.get("guard", {})
    if as_json:
        shown = {"station": station, "totals": totals, "line": guard.get("state"),
                 "alerts": known.get("told", {}), "charts": guard.get("charts", {}),
                 "golden": known.get("golden", {})}  # fmt: skip
        print(json.dumps(shown))
        return 0
    print(f"station {station}: line {guard.get('state', 'unknown')}")
    print("  " + ", ".join(f"{count:,} {name}" for name, count in sorted(totals.items())))
    for misjudged in known.get("golden", {}).get("misjudged", []):
        print(f"  golden part {misjudged}")
    for rule, since in known.get("told", {}).items():
        print(f"  alert {rule} since {since}")
    return 0


def _overrule(folder: Path, station: str, arguments: argparse.Namespace) -> int:
    good = arguments.said == "good"
    said = Overrule(arguments.part, "", good, arguments.by[:MAX_NAME], time.time())
    verdict = overrule(folder, station, said)
    if verdict is None:
        raise OperatorError(
            f"part {arguments.part} of station {station}: not kept, or overruled before"
        )
    print(f"part {arguments.part}: station said {verdict}, {arguments.by} says {arguments.said}")
    return 0


def _rates(folder: Path, station: str, *, as_json: bool) -> int:
    rates = rates_of(read_overrules(folder, station))
    if as_json:
        print(json.dumps({"station": station, **{n: asdict(r) for n, r in rates.items()}}))
        return 0
    for name, rate in rates.items():
        share = "–" if rate.share is None else f"{rate.share:.2%}"
        print(
            f"{name.replace('_', ' '):<14}{rate.wrong:>5} of {rate.seen:<6} looked at  {share:>7}"
            f"  (95 %: {rate.low:.2%} to {rate.high:.2%})"
        )
    return 0


def _labels(folder: Path, station: str, out: Path) -> int:
    """Copy the kept pictures of overruled parts, with ``labels.jsonl`` beside them."""
    rows = {row.part: row for row in read_parts(folder, station)}
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    for said in read_overrules(folder, station):
        row = rows.get(said.part)
        picture = folder / EVIDENCE_FOLDER / station / row.evidence if row else None
        if row is None or not row.evidence or picture is None or not picture.is_file():
            continue
        shutil.copyfile(picture, out / picture.name)
        label = {"picture": picture.name, "part": said.part, "product": row.product}
        lines.append(json.dumps({**label, "good": said.good, "station_said": said.verdict}))
    (out / "labels.jsonl").write_text("".join(f"{line}\n" for line in lines))
    print(f"{len(lines)} labelled parts in {out}")
    return 0
