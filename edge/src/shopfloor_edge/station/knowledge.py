"""What a station knows from part to part, as one text that is replaced whole."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from shopfloor_contracts.aggregates import LATENCY_EDGES_MS, DefectCount, InspectionData
from shopfloor_contracts.events import source_of
from shopfloor_contracts.recipes import Recipe
from shopfloor_edge.inspection.tally import Tally
from shopfloor_edge.journal.outbox import Draft
from shopfloor_edge.spc.guard import LineGuard
from shopfloor_edge.station.watching import put_away, take_up

MAX_DEFECTS, MAX_DOUBTS = 64, 32


@dataclass(slots=True)
class Knowledge:
    """Totals of the window, the guard, and what people were told."""

    guard: LineGuard
    tally: Tally
    version: str
    """Of the recipe that the charts and totals belong to."""
    told: dict[str, str] = field(default_factory=dict)
    """Alerts that are raised: rule, and since when."""
    doubts_in_a_row: int = 0
    all_time: dict[str, int] = field(default_factory=dict)
    """Parts by verdict since the book was begun."""
    golden: dict[str, Any] = field(default_factory=dict)
    """When the golden parts were judged last (``at_s``), and those ``misjudged``."""
    stopped_by: str = ""
    """Who stopped the line; empty when a chart or blindness did."""


def new_tally(at_s: float, window_s: float) -> Tally:
    """Return an empty tally of the window that ``at_s`` falls into; windows are of the clock."""
    return Tally(start_s=at_s - at_s % window_s, buckets=len(LATENCY_EDGES_MS) + 1)


def dump(knowledge: Knowledge) -> str:
    """Return it as JSON."""
    return json.dumps(
        {
            "version": knowledge.version,
            "guard": put_away(knowledge.guard),
            "tally": asdict(knowledge.tally),
            "told": knowledge.told,
            "doubts_in_a_row": knowledge.doubts_in_a_row,
            "all_time": knowledge.all_time,
            "golden": knowledge.golden,
            "stopped_by": knowledge.stopped_by,
        }
    )


def load(text: str, guard: LineGuard, recipe: Recipe, at_s: float) -> Knowledge:
    """Go on where ``dump`` was, with a calm guard of the recipe; empty text begins anew."""
    if not text:
        return Knowledge(guard, new_tally(at_s, recipe.window_s), recipe.version)
    kept: dict[str, Any] = json.loads(text)
    take_up(guard, kept["guard"])
    return Knowledge(
        guard,
        Tally(**kept["tally"]),
        kept["version"],
        kept["told"],
        kept["doubts_in_a_row"],
        kept["all_time"],
        kept.get("golden", {}),
        kept.get("stopped_by", ""),
    )


def window_event(knowledge: Knowledge, recipe: Recipe, digest: str) -> Draft:
    """Return the totals of a window as an event."""
    tally, start = knowledge.tally, datetime.fromtimestamp(knowledge.tally.start_s, UTC)
    defects = sorted(tally.defects.items(), key=lambda item: -item[1][0])[:MAX_DEFECTS]
    data = InspectionData(
        window_start=start,
        window_s=recipe.window_s,
        coverage_ratio=round(min(1.0, tally.covered_s / recipe.window_s), 4),
        frames=tally.parts,
        model_digest=digest,
        zone_version=knowledge.version,
        station=recipe.station,
        passed=tally.passed,
        failed=tally.failed,
        reviewed=tally.reviewed,
        missed=tally.missed,
        escapes=tally.escapes,
        false_rejects=tally.false_rejects,
        confirmed=tally.confirmed,
        defects=[DefectCount(name=n, parts=p, places=q) for n, (p, q) in defects],
        doubts=[DefectCount(name=n, parts=p) for n, p in sorted(tally.doubts.items())][:MAX_DOUBTS],
        latency_histogram=tally.latency,
        line=knowledge.guard.state.value,
        stops=tally.stops,
    )
    return Draft(data, source_of(recipe.site, recipe.device, recipe.station), start)
