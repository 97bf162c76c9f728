"""The steps of one device, put together from the site's file and from what the host is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from shopfloor_provisioning.compose import Composed, compose_all, secret_names
from shopfloor_provisioning.enrolling import OPERATOR_SECRET, ByAuthority, ByToken
from shopfloor_provisioning.errors import OperatorError, StoreFileError, WheelhouseError
from shopfloor_provisioning.job import Job
from shopfloor_provisioning.layout import Layout
from shopfloor_provisioning.machine import Address
from shopfloor_provisioning.preflight import Facts
from shopfloor_provisioning.processes import unit
from shopfloor_provisioning.steps.files import Files, WantedFile
from shopfloor_provisioning.steps.identity import Enroller, Identity
from shopfloor_provisioning.steps.people import Staff
from shopfloor_provisioning.steps.ports import SERVICE, Step
from shopfloor_provisioning.steps.running import Kept, Units
from shopfloor_provisioning.steps.software import Here, Wheels
from shopfloor_provisioning.steps.system import (
    GSTREAMER,
    PYTHON,
    Account,
    Packages,
    device_folders,
)
from shopfloor_provisioning.store import DeviceFile, StoreFile, read_store
from shopfloor_provisioning.wheels import WheelSet, find_wheels

REPOSITORY = Path(__file__).resolve().parents[4]
UNITS = next(
    (
        folder
        for folder in (Path(__file__).parent / "units", REPOSITORY / "edge/systemd")
        if folder.is_dir()
    ),
    REPOSITORY / "edge/systemd",
)
LAUNCHER = next(
    path
    for path in (UNITS / "launch.sh", REPOSITORY / "edge/src/shopfloor_edge/slots/launch.sh")
    if path.is_file()
)
OWNER = f"root:{SERVICE}"
SYSTEM_PYTHON = {"12": "3.11", "13": "3.13", "24.04": "3.12"}
"""What ``apt-get install python3`` brings, by release: wheels are chosen before it is there."""


def layout_of(device: DeviceFile, var: Path) -> Layout:
    """Return where everything of the device lies."""
    local = device.connector == "local"
    return Layout(PurePosixPath(var.absolute() / device.name) if local else PurePosixPath("/"))


def address_of(device: DeviceFile, store: Path, var: Path) -> Address:
    """Return how the device is reached; a key file lies beside the site's file, or is absolute."""
    key = device.key_file
    return Address(
        device=device.name,
        connector=device.connector,
        host=device.address,
        port=device.port,
        user=device.user,
        key_file=None if key is None else str(beside(store, key)),
        host_key=device.host_key,
        known_hosts=var / "known_hosts" / device.name,
    )


def beside(store: Path, name: str) -> Path:
    """Return a file that the site's file names: beside it, below home, or absolute."""
    return (store.parent / Path(name).expanduser()).absolute()


@dataclass(frozen=True, slots=True)
class Plan:
    """One device of a site, ready to be worked on."""

    job: Job
    store: StoreFile
    device: DeviceFile
    layout: Layout
    composed: Composed

    @property
    def owned(self) -> bool:
        """Whether files have owners of their own: not below a folder of the caller's."""
        return self.device.connector != "local"

    @property
    def is_image(self) -> bool:
        """Whether it is a root to be booted later: nothing runs in it."""
        return self.device.connector == "chroot"

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages of the system; a device on this machine has what this machine has."""
        if not self.owned:
            return ()
        return PYTHON + (GSTREAMER if self.device.video == "gstreamer" else ())

    @property
    def extras(self) -> tuple[str, ...]:
        """Of shopfloor-edge."""
        wanted = {"console"} if "console" in self.device.processes else set()
        if self.device.video == "pyav":
            wanted.add("pyav")
        if "notify" in self.composed.site.model_fields_set:
            wanted.add("notify")
        return tuple(sorted(wanted))

    @property
    def runs_here(self) -> bool:
        """Whether the device runs the environment of this command instead of wheels."""
        chosen = self.device.software
        if chosen is None:
            return self.device.connector == "local" and self.job.wheelhouse is None
        return chosen == "here"

    def wheels(self, facts: Facts) -> WheelSet | None:
        """Return what the device is to be installed with, None where it runs this environment.

        Raises:
            WheelhouseError: the wheelhouse cannot serve it.
        """
        if self.runs_here:
            if self.device.connector != "local":
                raise OperatorError(f"{self.device.name}: software 'here' is for connector local")
            return None
        if self.job.wheelhouse is None:
            raise WheelhouseError("no wheelhouse: 'make wheelhouse' makes one, or --wheelhouse DIR")
        python = facts.python or SYSTEM_PYTHON.get(facts.release, "3.11")
        return find_wheels(self.job.wheelhouse, python, facts.architecture, self.extras)

    def steps(self, facts: Facts) -> list[Step]:
        """Return every step in order."""
        wheels = self.wheels(facts)
        systemd = self.owned and (facts.has_systemd or self.is_image)
        steps: list[Step] = []
        if self.owned:
            steps += [Packages(self.packages), Account(self.layout.state)]
        steps.append(device_folders(self.layout, owned=self.owned, kept=not systemd))
        if wheels is None:
            steps.append(Here(self.layout))
        else:
            steps.append(Wheels(self.layout, wheels, self.extras, self.owned))
        steps.append(self._launcher())
        steps += self._files()
        if not self.is_image:
            steps.append(self._identity())
            if "console" in self.device.processes and self.store.staff:
                steps.append(
                    Staff(self.layout, tuple(self.store.staff), self.job.secrets, self.owned)
                )
        steps.append(self._programs(wheels, systemd=systemd))
        steps.append(self._processes(wheels, systemd=systemd))
        return steps

    def _identity(self) -> Identity:
        return Identity(
            self.layout, self.store.site, self.device.name, self._enroller(), self.owned
        )

    def _files(self) -> list[Step]:
        owner = OWNER if self.owned else None
        layout, store, device = self.layout, self.store, self.device
        trust = []
        if store.cloud.root_file is not None:
            root = self._read(store.cloud.root_file)
            trust.append(WantedFile(layout.trust / "root.json", root))
        if store.cloud.ca_file is not None:
            trust.append(WantedFile(layout.authority, self._read(store.cloud.ca_file)))
        secrets = tuple(
            WantedFile(layout.secrets / name.lower(), self.job.secrets[name].encode(), secret=True)
            for name in sorted(secret_names([device]))
        )
        site = [WantedFile(layout.site_file, self.composed.text.encode())]
        site += [
            WantedFile(layout.settings / name, self._read(file))
            for name, file in sorted(device.files.items())
        ]
        return [
            Files("trust", tuple(trust), owner),
            Files("secrets", secrets, owner),
            Files("site file", tuple(site), owner),
        ]

    def _launcher(self) -> Files:
        """Beside the environments and of none: it starts them, and goes back from a bad one."""
        content = LAUNCHER.read_bytes()
        file = WantedFile(self.layout.launcher, content, "755")
        return Files("launcher", (file,), OWNER if self.owned else None)

    def _programs(self, wheels: WheelSet | None, *, systemd: bool) -> Files:
        owner = "root:root" if self.owned else None
        if systemd:
            names = [unit(process) for process in self.device.processes]
            files = [
                WantedFile(self.layout.units / name, (UNITS / name).read_bytes(), "644")
                for name in names
            ]
            files += [
                WantedFile(
                    self.layout.units / f"{name}.d/inputs.conf",
                    f"[Service]\nEnvironment=SHOPFLOOR_INPUTS={self._inputs(wheels)}\n".encode(),
                    "644",
                )
                for name in names
            ]
            return Files("units", tuple(files), owner)
        keeper = (UNITS / "keeper.sh").read_bytes()
        return Files(
            "keeper", (WantedFile(self.layout.product / "keeper.sh", keeper, "755"),), owner
        )

    def _processes(self, wheels: WheelSet | None, *, systemd: bool) -> Step:
        processes = self.device.processes
        if systemd:
            return Units(self.layout, processes, self._inputs(wheels), starts=not self.is_image)
        return Kept(self.layout, processes, self._inputs(wheels), self.owned)

    def _inputs(self, wheels: WheelSet | None) -> str:
        """Return the digest of what a process must have been started with."""
        parts = [self.composed.digest, "" if wheels is None else wheels.digest]
        parts += [
            hashlib.sha256(self._read(file)).hexdigest() for file in self.device.files.values()
        ]
        parts += [(UNITS / unit(process)).read_text() for process in self.device.processes]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def _enroller(self) -> Enroller:
        places = self.job.places
        if places.identity_url is not None:
            file = self.store.cloud.ca_file
            authority = None if file is None else beside(self.job.store, file)
            hosts = (self.device.address,) if self.device.address else ()
            token = self.job.secrets[OPERATOR_SECRET]
            return ByToken(places.identity_url, token, authority, hosts, self.owned)
        if places.authority is None:
            raise OperatorError("cloud: identity_url is missing: nobody gives devices certificates")
        return ByAuthority(places.authority)

    def _read(self, name: str) -> bytes:
        path = beside(self.job.store, name)
        try:
            return path.read_bytes()
        except OSError as e:
            raise StoreFileError(self.job.store, [f"{path}: {e.strerror}"]) from e


def open_plan(job: Job) -> Plan:
    """Read the site's file and compose the device of the job.

    Raises:
        StoreFileError: the file cannot be used.
    """
    store = read_store(job.store)
    layouts = {device.name: layout_of(device, job.var) for device in store.devices}
    composed = compose_all(store, job.store, job.places, layouts)
    device = store.device(job.device)
    return Plan(job, store, device, layouts[device.name], composed[device.name])
