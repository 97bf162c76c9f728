"""``shopfloor-edge doctor``: what works on this device, and what to do about what does not."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from shopfloor_contracts.site import ModelSpec, OutboxSpec, SiteFile
from shopfloor_edge.cameras.uris import Medium, medium_of
from shopfloor_edge.discipline import read_discipline
from shopfloor_edge.doctor.backends import check_backends
from shopfloor_edge.doctor.clock import Instant, check_clock, check_time_zone
from shopfloor_edge.doctor.decoders import check_decoders
from shopfloor_edge.doctor.findings import Finding, is_healthy
from shopfloor_edge.doctor.machine import (
    check_devices,
    check_disk,
    check_memory,
    check_processor,
    check_state,
)
from shopfloor_edge.doctor.recipes import check_recipe
from shopfloor_edge.doctor.table import as_json, as_text


def run_doctor(
    site: SiteFile | None, state: Path, *, json_wanted: bool, recipe: Path | None = None
) -> int:
    """Print the findings; return 0 when healthy, else 2."""
    findings = [*examine(site, state), *(check_recipe(recipe) if recipe else ())]
    if json_wanted:
        sys.stdout.write(as_json(findings))
    else:
        sys.stdout.write(as_text(findings, width=shutil.get_terminal_size((100, 24)).columns))
    return 0 if is_healthy(findings) else 2


def examine(site: SiteFile | None, state: Path) -> list[Finding]:
    """Look at everything, for a site or for the defaults."""
    before = _now()
    model = site.model if site else ModelSpec()
    outbox = site.outbox if site else OutboxSpec()
    cameras = site.cameras if site else []
    usb = [Path(one.uri) for one in cameras if medium_of(one.uri) is Medium.USB]
    findings = [*check_backends(model), *check_decoders()]
    machine = [
        check_processor(_text("/proc/cpuinfo")),
        check_memory(_text("/proc/meminfo")),
        check_disk(state, outbox_bytes=outbox.max_bytes),
        check_state(state),
        *check_devices(usb),
    ]
    zone = check_time_zone(site.time_zone if site else None, os.environ)
    return [*findings, *check_clock(before, _now(), read_discipline()), zone, *machine]


def _now() -> Instant:
    return Instant(time.time(), time.monotonic())


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
