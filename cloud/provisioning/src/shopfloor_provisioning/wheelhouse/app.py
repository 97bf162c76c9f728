"""``python -m shopfloor_provisioning.wheelhouse.app``: fills the wheelhouse, says what it holds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shopfloor_provisioning.wheelhouse.closure import Closure, read_pins, resolve
from shopfloor_provisioning.wheelhouse.errors import (
    CollectError,
    IndexUnreachableError,
    WheelError,
    WheelsMissingError,
)
from shopfloor_provisioning.wheelhouse.metadata import Wheel
from shopfloor_provisioning.wheelhouse.own import DEVICE_DISTRIBUTIONS, build_own
from shopfloor_provisioning.wheelhouse.pip_source import PipSource
from shopfloor_provisioning.wheelhouse.platforms import GLIBC_MINOR, Platform, choose_platforms
from shopfloor_provisioning.wheelhouse.pool import Pool
from shopfloor_provisioning.wheelhouse.sbom import write_sbom

ROOT = "shopfloor-edge"
EXTRAS = ("console", "notify")
"""What every device gets beside the plain distribution."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What a run did."""

    closures: list[Closure]
    downloaded: int
    changed: list[Platform]


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the wheelhouse; print one table, or one line per problem."""
    parsed = _parser().parse_args(arguments)
    try:
        platforms = choose_platforms(parsed.platform)
        filled = fill(parsed, platforms, say=lambda line: print(line, flush=True))
    except IndexUnreachableError as e:
        print(f"wheelhouse: {e}", file=sys.stderr)
        return 1
    except CollectError as e:
        print("\n".join(f"wheelhouse: {line}" for line in str(e).splitlines()), file=sys.stderr)
        return 2
    print("\n".join(summary(filled, parsed.into)))
    return 0


def fill(
    parsed: argparse.Namespace, platforms: Sequence[Platform], *, say: Callable[[str], None]
) -> Filled:
    """Bring every wheel of the platforms; write a folder each.

    Raises:
        WheelsMissingError: all packages without a wheel, on all platforms, at once.
        CollectError: anything else that stops it.
    """
    pool = Pool(parsed.into)
    pins = read_pins(parsed.root / "constraints.txt")
    say("our own wheels are built")
    own = build_own(parsed.root, pool.folder, DEVICE_DISTRIBUTIONS)
    source = PipSource(pool, options=parsed.pip or (), say=say)
    wanted = [f"{ROOT}[{parsed.extras}]" if parsed.extras else ROOT]
    closures = [resolve(wanted, p, own=own, pins=pins, source=source) for p in platforms]
    if not parsed.allow_gpl:
        refuse_gpl(closures)
    problems = [
        f"{pin.name} {pin.version}: no wheel for {closure.platform.name} (glibc 2.{GLIBC_MINOR})"
        for closure in closures
        for pin in closure.missing
    ]
    if problems:
        raise WheelsMissingError(problems)
    changed = [c.platform for c in closures if pool.fill(c.platform, *_contents(c))]
    pool.sweep()
    return Filled(closures, source.downloaded, changed)


def refuse_gpl(closures: Sequence[Closure]) -> None:
    """Refuse what may not be shipped with everything else.

    Raises:
        WheelError: a wheel carries a GPL library.
    """
    found = sorted(
        {
            f"{w.name} {w.version}: its wheel carries {', '.join(w.carries)}, which is GPL; "
            "--allow-gpl takes it for machines that are not shipped"
            for closure in closures
            for w in closure.wheels.values()
            if w.carries
        }
    )
    if found:
        raise WheelError("\n".join(found))


def _contents(closure: Closure) -> tuple[list[Wheel], str]:
    return list(closure.wheels.values()), write_sbom(closure, ROOT)


def summary(filled: Filled, into: Path) -> list[str]:
    """Return the table of sizes, and what the run did."""
    lines = [f"{'platform':<16}{'wheels':>7}{'MB':>9}  largest"]
    files: dict[str, int] = {}
    for closure in filled.closures:
        sizes = {w.path.name: w.path.stat().st_size for w in closure.wheels.values()}
        files |= sizes
        largest = sorted(closure.wheels.values(), key=lambda w: -sizes[w.path.name])[:3]
        told = ", ".join(f"{w.name} {sizes[w.path.name] / 1e6:.1f}" for w in largest)
        total = sum(sizes.values()) / 1e6
        lines.append(f"{closure.platform.name:<16}{len(sizes):>7}{total:>9.1f}  {told}")
    lines.append(
        f"{'together':<16}{len(files):>7}{sum(files.values()) / 1e6:>9.1f}  each file once"
    )
    changed = ", ".join(platform.name for platform in filled.changed)
    lines.append(f"{into}: {filled.downloaded} downloaded; changed: {changed or 'nothing'}")
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wheelhouse", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="checkout (default: here)")
    parser.add_argument("--into", type=Path, default=Path("var/wheelhouse"))
    parser.add_argument(
        "--platform", default="", help="3.12-aarch64, 3.12 or aarch64; commas between"
    )
    parser.add_argument(
        "--extras", default=",".join(EXTRAS), help=f"of {ROOT} (default: %(default)s)"
    )
    parser.add_argument(
        "--allow-gpl", action="store_true", help="take wheels that carry a GPL library"
    )
    parser.add_argument("--pip", action="append", help="an option more for pip download")
    return parser


if __name__ == "__main__":
    sys.exit(main())
