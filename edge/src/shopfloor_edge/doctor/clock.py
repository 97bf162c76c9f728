"""Is this device's time right? Windows and events carry it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shopfloor_edge.discipline import Discipline
from shopfloor_edge.doctor.findings import Finding, Level

AREA = "clock"
BUILT = datetime(2026, 11, 1, tzinfo=UTC)
"""No device that runs this lives before it: its clock has lost its battery."""
STEP_MAX_S = 0.1
ERROR_MAX_S = 1.0


@dataclass(frozen=True, slots=True)
class Instant:
    """Both clocks at once."""

    wall_s: float
    monotonic_s: float


def check_clock(before: Instant, after: Instant, discipline: Discipline | None) -> list[Finding]:
    """Judge the wall clock; ``before`` and ``after`` are of the beginning and end of all checks."""
    now = datetime.fromtimestamp(after.wall_s, UTC)
    sync = "enable NTP: 'timedatectl set-ntp true', or chrony"
    findings = []
    if now < BUILT:
        found = f"{now:%Y-%m-%d %H:%M} UTC, before this release was made"
        findings.append(Finding(AREA, "time", Level.BAD, found, sync))
    else:
        findings.append(Finding(AREA, "time", Level.OK, f"{now:%Y-%m-%d %H:%M:%S} UTC"))
    findings.append(_judge_discipline(discipline, sync))
    stepped_s = (after.wall_s - before.wall_s) - (after.monotonic_s - before.monotonic_s)
    if abs(stepped_s) > STEP_MAX_S:
        found = f"the time jumped by {stepped_s:+.1f} s while it was looked at"
        remedy = "two time services may be fighting: keep one"
        findings.append(Finding(AREA, "steady", Level.WARN, found, remedy))
    else:
        findings.append(Finding(AREA, "steady", Level.OK, "runs with the monotonic clock"))
    return findings


def check_time_zone(wanted: str | None, environment: Mapping[str, str]) -> Finding:
    """Judge the time zone that the site names, or the system's where there is no site file."""
    name = wanted or environment.get("TZ", "").removeprefix(":")
    try:
        zone = ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        remedy = "name one such as Europe/Berlin; install tzdata if it should be known"
        return Finding(AREA, "time zone", Level.BAD, f"{name!r} is not known here", remedy)
    local = datetime.now(UTC).astimezone(zone)
    whose = "the site's" if wanted else "the system's"
    return Finding(
        AREA, "time zone", Level.OK, f"{name or local.tzname()}, {whose}: {local:%H:%M %z}"
    )


def _judge_discipline(discipline: Discipline | None, sync: str) -> Finding:
    if discipline is None:
        return Finding(AREA, "synchronised", Level.WARN, "the kernel does not say", sync)
    if not discipline.synchronised:
        return Finding(
            AREA, "synchronised", Level.WARN, "no, by nothing that the kernel knows", sync
        )
    if discipline.error_s > ERROR_MAX_S:
        found = f"within {discipline.error_s:.1f} s only"
        return Finding(AREA, "synchronised", Level.WARN, found, "is the time server reached?")
    return Finding(AREA, "synchronised", Level.OK, f"within {1e3 * discipline.error_s:.0f} ms")
