"""The operating system's part: packages, the service account, folders."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath

from pyinfra.operations import apt, server

from shopfloor_provisioning import debian
from shopfloor_provisioning.layout import Layout
from shopfloor_provisioning.machine import Machine
from shopfloor_provisioning.steps.ports import SERVICE, Change

PYTHON = ("python3", "python3-venv", "ca-certificates")
GSTREAMER = (
    "python3-gi",
    "python3-gst-1.0",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-bad",
    "gstreamer1.0-plugins-ugly",
    "gstreamer1.0-libav",
    "gstreamer1.0-rtsp",
    "gir1.2-gstreamer-1.0",
    "gir1.2-gst-plugins-base-1.0",
)
_GROUPS = ("video", "render", "gpio", "tss")
"""Cameras, accelerators, pins and the TPM, where the system has them."""


@dataclass(frozen=True, slots=True)
class Packages:
    """Packages of Debian or Ubuntu; none is removed, none is upgraded."""

    packages: tuple[str, ...]
    name: str = "packages"

    def look(self, machine: Machine) -> list[Change]:
        """Name those that are missing."""
        return [
            Change(f"install {name}") for name in debian.missing_packages(machine, self.packages)
        ]

    def do(self, machine: Machine) -> None:
        """Install them; an installation that was cut is finished first."""
        debian.finish(machine)
        machine.operate(
            apt.packages,
            packages=debian.missing_packages(machine, self.packages),
            update=True,
            cache_time=3600,
            no_recommends=True,
            extra_install_args="-o DPkg::Lock::Timeout=120",
        )


@dataclass(frozen=True, slots=True)
class Account:
    """The account that the processes run under: no login, no home but the state."""

    state: PurePosixPath
    name: str = "account"

    def look(self, machine: Machine) -> list[Change]:
        """Say what pyinfra would change."""
        if machine.would(server.group, group=SERVICE, system=True):
            return [Change(f"make group {SERVICE}"), Change(f"make user {SERVICE}")]
        wanted = machine.would(server.user, **self._user(machine))
        return [Change(f"make user {SERVICE}")] if wanted else []

    def do(self, machine: Machine) -> None:
        """Make group and user."""
        machine.operate(server.group, group=SERVICE, system=True)
        machine.operate(server.user, **self._user(machine))

    def _user(self, machine: Machine) -> dict[str, str | bool | list[str]]:
        names = " ".join(_GROUPS)
        found = machine.run(f"for g in {names}; do getent group $g >/dev/null && echo $g; done; :")
        return {
            "user": SERVICE,
            "group": SERVICE,
            "groups": found.stdout.split(),
            "append": True,
            "home": str(self.state),
            "shell": "/usr/sbin/nologin",
            "system": True,
            "create_home": False,
            "ensure_home": False,
        }


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as it should be."""

    path: PurePosixPath
    mode: str
    user: str
    group: str


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders of a device with their owners and modes."""

    folders: tuple[Folder, ...]
    owned: bool
    """Whether owners are set: not under ``local``, where all is the caller's."""
    name: str = "folders"

    def look(self, machine: Machine) -> list[Change]:
        """Compare owner, group and mode of each."""
        paths = " ".join(shlex.quote(str(folder.path)) for folder in self.folders)
        script = f"for f in {paths}; do stat -c '%F|%U|%G|%a' \"$f\" 2>/dev/null || echo -; done"
        found = machine.must(script, "folders").splitlines()
        return [
            Change(f"{'make' if line == '-' else 'set rights of'} {folder.path}")
            for folder, line in zip(self.folders, found, strict=True)
            if not self._is_right(folder, line)
        ]

    def do(self, machine: Machine) -> None:
        """Make each, and set its rights."""
        for folder in self.folders:
            own = f"-o {folder.user} -g {folder.group} " if self.owned else ""
            path = shlex.quote(str(folder.path))
            machine.must(f"install -d {own}-m {folder.mode} {path}", str(folder.path))

    def _is_right(self, folder: Folder, line: str) -> bool:
        kind, _, rest = line.partition("|")
        if kind != "directory":
            return False
        user, group, mode = rest.split("|")
        owners = (user, group) == (folder.user, folder.group) or not self.owned
        return owners and mode == folder.mode


def device_folders(layout: Layout, *, owned: bool, kept: bool) -> Folders:
    """Return the folders of a device: settings are root's, state and programs the service's.

    With ``kept`` those too that a keeper wants where there is no systemd.
    """

    def of_root(path: PurePosixPath, mode: str = "750") -> Folder:
        return Folder(path, mode, "root", SERVICE)

    def of_service(path: PurePosixPath, mode: str = "750") -> Folder:
        return Folder(path, mode, SERVICE, SERVICE)

    folders = [
        of_root(layout.settings),
        of_root(layout.secrets),
        # The agent renews the certificate that lies here.
        Folder(layout.identity, "770", "root", SERVICE),
        of_root(layout.trust),
        of_service(layout.state),
        of_service(layout.product, "755"),
        of_service(layout.apps, "755"),
        of_service(layout.wheels, "755"),
    ]
    if kept:
        folders += [of_service(layout.run), of_service(layout.logs)]
    return Folders(tuple(folders), owned)
