"""``python -m shopfloor_dashboards.main FOLDER``: write every dashboard as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from shopfloor_dashboards.boards import (
    business,
    campaign,
    device,
    fleet,
    ingest,
    inspection,
    model,
    site,
    slo,
    vision,
)
from shopfloor_dashboards.grafana import to_json

BOARDS = (
    fleet.BOARD,
    site.BOARD,
    device.BOARD,
    model.BOARD,
    business.BOARD,
    inspection.BOARD,
    campaign.BOARD,
    ingest.BOARD,
    slo.BOARD,
    vision.BOARD,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files; return the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if len(given) != 1 or given[0].startswith("-"):
        print("usage: python -m shopfloor_dashboards.main FOLDER", file=sys.stderr)
        return 2
    folder = Path(given[0])
    if not folder.is_dir():
        print(f"{folder}: no such folder", file=sys.stderr)
        return 2
    for board in BOARDS:
        (folder / f"{board.uid}.json").write_text(to_json(board))
    print(f"{folder}: {len(BOARDS)} dashboards")
    return 0


if __name__ == "__main__":
    sys.exit(main())
