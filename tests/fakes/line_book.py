"""A station's book with parts, pictures and golden parts, as a station would have left it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from fakes.boards import Kind, board, noisy, with_defect
from shopfloor_contracts.recipes import parse_recipe
from shopfloor_edge.inspection.arrivals import Trigger
from shopfloor_edge.inspection.evidence import EvidenceStore
from shopfloor_edge.inspection.ports import Doubt, Finding, Judgement, Verdict
from shopfloor_edge.journal.part_views import EVIDENCE_FOLDER
from shopfloor_edge.journal.parts import PartBook, PartRow
from shopfloor_edge.station.ledger import StationLedger
from shopfloor_edge.station.watching import build_guard

RECIPE = """
site = "store-1"
device = "door"
station = "{station}"
window_s = 3600
source = "folder:x"
trigger = {{ kind = "frames" }}
products = [{{ name = "board", reference = "r.png" }}]
[[watch]]
alert = {{ p0 = 0.01, p1 = 0.2, arl0 = 1e4 }}
stop = {{ p0 = 0.01, p1 = 0.2, arl0 = 1e9 }}
"""


def fill_book(
    state: Path, verdicts: str, *, station: str = "aoi", misjudged: tuple[str, ...] = ()
) -> None:
    """Settle a part per letter: ``p`` passed (every tenth kept), ``f`` failed, ``r`` for people."""
    recipe = parse_recipe(RECIPE.format(station=station), source="test")
    book = PartBook(state, station, max_rows=10_000, max_bytes=10**8)
    at_s = time.time() - 2 * len(verdicts)
    ledger = StationLedger(recipe, book, build_guard(recipe.watch), digest="0" * 64, at_s=at_s)
    ledger.released(at_s, list(misjudged), restart=False)
    store = EvidenceStore(state / EVIDENCE_FOLDER / station, 10**8)
    good = board()
    kinds = list(Kind)
    for number, letter in enumerate(verdicts):
        ledger.open_part(Trigger(time.monotonic()))
        bad, (x, y) = with_defect(good, kinds[number % len(kinds)])
        judgement = {
            "p": Judgement(Verdict.PASS),
            "f": Judgement(
                Verdict.FAIL, (Finding((x - 14, y - 14, x + 14, y + 14), "mousebite", 0.9),)
            ),
            "r": Judgement(Verdict.REVIEW, doubt=Doubt.UNSURE),
        }[letter]
        is_kept = letter != "p" or number % 10 == 0
        if is_kept:
            picture = np.asarray(noisy(good if letter == "p" else bad, seed=number), np.uint8)
            store.keep(ledger.part, picture, judgement)
        row = PartRow(
            ledger.part, at_s + 2 * number, judgement.verdict.value, 12.5,
            " ".join(finding.defect for finding in judgement.findings),
            judgement.doubt.value if judgement.doubt else "", None, "", "board",
            EvidenceStore.name_of(ledger.part) if is_kept else "",
        )  # fmt: skip
        ledger.settle(row, judgement)
    book.close()
