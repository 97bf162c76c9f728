"""What ``shopfloor-site`` does with a site: check, plan, apply, report, status, destroy."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx

from shopfloor_provisioning import fleet, rehearsal
from shopfloor_provisioning.compose import Composed, compose_all
from shopfloor_provisioning.device import layout_of
from shopfloor_provisioning.enrolling import OPERATOR_SECRET
from shopfloor_provisioning.errors import OperatorError, PreflightError, StoreFileError
from shopfloor_provisioning.job import Action, Collected, Job, Places, Progress, Result
from shopfloor_provisioning.report.contents import (
    CloudSees,
    DeviceReport,
    Report,
    report_device,
    unreachable,
)
from shopfloor_provisioning.report.page import write_report
from shopfloor_provisioning.secrets import Secrets, read_secrets
from shopfloor_provisioning.store import DeviceFile, StoreFile, read_store

Say = Callable[[str], None]

EVENT_WAIT_S = 75.0
"""A heartbeat comes every half minute; the first camera takes a while to be live."""
_POLL_S = 1.0
CONSOLE_PORT = 8480


@dataclass(frozen=True, slots=True)
class Options:
    """How a command was called."""

    var: Path
    wheelhouse: Path | None
    devices: tuple[str, ...] = ()
    """Empty takes all."""
    at_once: int = fleet.AT_ONCE
    event_wait_s: float = EVENT_WAIT_S


@dataclass(slots=True)
class Site:
    """A site at work on this machine."""

    path: Path
    options: Options
    environment: Mapping[str, str]
    say: Say
    store: StoreFile = field(init=False)
    secrets: Secrets = field(init=False)

    def __post_init__(self) -> None:
        self.store = read_store(self.path)
        unknown = sorted(set(self.options.devices) - {d.name for d in self.store.devices})
        if unknown:
            names = ", ".join(d.name for d in self.store.devices)
            raise OperatorError(
                f"{self.path}: no device is named {', '.join(unknown)}; there are {names}"
            )
        wanted = self.store.secret_names
        if self.store.cloud.identity_url is not None:
            wanted = wanted | {OPERATOR_SECRET}
        self.secrets = read_secrets(wanted, self.path, self.environment)

    @property
    def var(self) -> Path:
        """What is kept of the site on this machine."""
        return self.options.var.absolute() / self.store.site

    @property
    def devices(self) -> list[DeviceFile]:
        """Those that were asked for."""
        names = self.options.devices
        return [d for d in self.store.devices if not names or d.name in names]

    def check(self) -> None:
        """Look at every device; all problems of all of them at once.

        Raises:
            StoreFileError: a site file cannot be composed.
            PreflightError: some are not fit, or cannot be reached.
        """
        self.composed()
        results = self._work(Action.CHECK)
        problems = [
            f"{device}: {problem}"
            for device, result in results.items()
            for problem in result.problems
        ]
        problems += [result.error for result in results.values() if result.error]
        if problems:
            raise PreflightError(problems)

    def plan(self) -> dict[str, Result]:
        """Return what would change on each device; changes nothing."""
        return self._work(Action.PLAN)

    def apply(self, tell: fleet.Tell) -> dict[str, Result]:
        """Bring every device to what the file says; each goes as far as it can."""
        return self._work(Action.APPLY, tell)

    def status(self) -> dict[str, Result]:
        """Return the state of each device's processes."""
        return self._work(Action.STATUS)

    def rehearse(self) -> None:
        """Start what the file rehearses."""
        rehearsal.start(self.store, self.var, self.environment, self.say)

    def destroy(self) -> dict[str, Result]:
        """Take every device back, and end what was rehearsed when all are gone."""
        results = self._work(Action.DESTROY)
        if not any(result.error for result in results.values()) and not self.options.devices:
            for line in rehearsal.stop(self.store, self.var, self.environment):
                self.say(line)
            shutil.rmtree(self.var, ignore_errors=True)
        return results

    def report(self) -> tuple[Report, Path]:
        """Wait for every device to be heard in the cloud, ask them all, and write the report."""
        began = datetime.now(UTC)
        composed = self.composed()
        names = [device.name for device in self.devices if device.connector != "chroot"]
        seen = self._wait_for_events(names, began)
        results = self._work(Action.COLLECT)
        devices = [
            self._device_report(composed[name].site.device, result, composed[name], seen, began)
            for name, result in results.items()
        ]
        report = Report(
            site=self.store.site,
            time_zone=self.store.time_zone,
            made_at=datetime.now(UTC),
            devices=devices,
        )
        page, _ = write_report(report, self.var / "report")
        return report, page

    def composed(self) -> dict[str, Composed]:
        """Return each device's site file."""
        layouts = {device.name: layout_of(device, self.var) for device in self.store.devices}
        composed = compose_all(self.store, self.path, self._places(), layouts)
        shown = [name for name, c in composed.items() if self.secrets.hide(c.text) != c.text]
        if shown:
            told = ", ".join(sorted(shown))
            raise StoreFileError(self.path, [f"holds a secret in what is written for {told}"])
        return composed

    def _places(self) -> Places:
        return rehearsal.places_of(self.store, self.environment)

    def _work(self, action: Action, tell: fleet.Tell | None = None) -> dict[str, Result]:
        places = self._places()
        names = self.store.secret_names | {OPERATOR_SECRET}
        jobs = [
            Job(
                action=action,
                store=self.path.absolute(),
                device=device.name,
                var=self.var,
                places=places,
                wheelhouse=self.options.wheelhouse,
                secrets=self.secrets.only(names),
            )
            for device in self.devices
        ]
        return fleet.work(jobs, tell or _silent, at_once=self.options.at_once)

    def _wait_for_events(self, names: Sequence[str], began: datetime) -> dict[str, CloudSees]:
        deadline = time.monotonic() + self.options.event_wait_s
        while True:
            seen = self._seen(names)
            late = [n for n in names if (at := seen[n].seen_at) is None or at < began]
            if not late or time.monotonic() > deadline:
                return seen
            time.sleep(_POLL_S)

    def _seen(self, names: Sequence[str]) -> dict[str, CloudSees]:
        url = self._places().ingest_url
        if url is None:
            problem = "cloud: ingest_url is missing, nobody can be asked"
            return {name: CloudSees(seen_at=None, problem=problem) for name in names}
        try:
            answer = httpx.get(
                f"{url.rstrip('/')}/api/v1/sites/{self.store.site}/devices",
                timeout=5.0,
                trust_env=False,
            )
            rows = answer.raise_for_status().json()["devices"]
        except (httpx.HTTPError, ValueError, KeyError) as e:
            return {n: CloudSees(seen_at=None, problem=f"ingest {url}: {e}") for n in names}
        found = {row["device"]: CloudSees(seen_at=row.get("last_seen_at")) for row in rows}
        return {name: found.get(name, CloudSees(seen_at=None)) for name in names}

    def _device_report(
        self,
        device: str,
        result: Result,
        composed: Composed,
        seen: dict[str, CloudSees],
        began: datetime,
    ) -> DeviceReport:
        collected: Collected | None = result.collected
        if collected is None:
            return unreachable(device, result.error or "said nothing")
        cloud = seen.get(device, CloudSees(seen_at=None, problem="an image is not asked"))
        url = self.console_url(self.store.device(device), composed)
        return report_device(composed.site, collected, cloud, since=began, console_url=url)

    def console_url(self, device: DeviceFile, composed: Composed) -> str:
        """Return where the staff reach the console, empty where none runs."""
        if "console" not in device.processes:
            return ""
        spec = getattr(composed.site, "console", None)
        port = CONSOLE_PORT if spec is None else spec.port
        secure = spec is not None and spec.cert_file is not None
        host = device.address if secure and device.address else "127.0.0.1"
        return f"{'https' if secure else 'http'}://{host}:{port}/"


def _silent(_device: str, _progress: Progress) -> None:
    """Tell nobody."""
