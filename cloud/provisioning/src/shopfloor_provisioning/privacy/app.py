"""``python -m shopfloor_provisioning.privacy.app``: documents from devices' site files at hand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from shopfloor_contracts.errors import SiteFileError
from shopfloor_contracts.site import SiteFile, parse_site
from shopfloor_provisioning.privacy.documents import Controller, Written, write_privacy


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the documents; say where they are, and what has changed since the last ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path, nargs="+", help="site files of one site's devices")
    parser.add_argument("--into", type=Path, required=True, metavar="DIR")
    parser.add_argument("--controller", default="", help="who answers for the site")
    parser.add_argument("--contact", default="", help="where people ask")
    parsed = parser.parse_args(arguments)
    try:
        sites = [parse_site(_read(path), source=str(path)) for path in parsed.site]
        if len({site.site for site in sites}) > 1:
            raise SiteFileError(str(parsed.site[0]), ["these files are of several sites"])
    except SiteFileError as e:
        print(f"privacy: {e}", file=sys.stderr)
        return 2
    controller = Controller(parsed.controller, parsed.contact)
    show(document(sites, parsed.into, controller), say=print)
    return 0


def document(sites: Sequence[SiteFile], into: Path, controller: Controller) -> Written:
    """Write the documents with today's date."""
    return write_privacy(sites, into, today=datetime.now(UTC).date(), controller=controller)


def show(written: Written, *, say: Callable[[str], None]) -> None:
    """Tell what was written, and whether a sign-off still holds."""
    for path in written.files:
        say(str(path))
    say(f"settings {written.digest}")
    for line in written.changed:
        say(f"changed since the last documents: {line}")
    if written.changed:
        say("what was signed was about other settings: have it signed again")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise SiteFileError(str(path), [str(e)]) from e


if __name__ == "__main__":
    sys.exit(main())
