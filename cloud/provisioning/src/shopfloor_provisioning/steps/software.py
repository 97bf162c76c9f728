"""The device's programs: an environment per set of wheels, and the link to the one in use."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from shopfloor_provisioning.layout import Layout
from shopfloor_provisioning.machine import Machine
from shopfloor_provisioning.steps.ports import SERVICE, Change
from shopfloor_provisioning.wheels import ROOT, WheelSet

COMPLETE = ".complete"
"""Written last into an environment: without it the folder is a half-installed one."""

_PURELIB = 'import sysconfig; print(sysconfig.get_path("purelib"))'


@dataclass(frozen=True, slots=True)
class Wheels:
    """The wheels of the device, installed and in use."""

    layout: Layout
    wanted: WheelSet
    extras: tuple[str, ...]
    owned: bool
    name: str = "wheels"

    def look(self, machine: Machine) -> list[Change]:
        """Compare the environment in use with the one that is wanted.

        An environment that an update brought stays: a campaign, not provisioning, decides then.
        """
        current, state, by_update = self._found(machine)
        if by_update or (state == "complete" and current == self.wanted.digest):
            return []
        changes = []
        if state != "complete":
            kind = "replace the half-installed" if state == "half" else "install the"
            changes.append(
                Change(
                    f"{kind} environment {self.wanted.digest}: {ROOT} {self.wanted.version}, "
                    f"{len(self.wanted.wheels)} wheels"
                )
            )
        return [*changes, Change(f"switch {self.layout.current} to {self.wanted.digest}")]

    def do(self, machine: Machine) -> None:
        """Bring what is missing, install, switch."""
        _, state, _ = self._found(machine)
        if state != "complete":
            self._bring(machine)
            self._install(machine)
        link, digest = self.layout.current, self.wanted.digest
        half = link.with_name(".current.new")
        machine.must(
            f"ln -sfn app/{digest} {half} && mv -fT {half} {link} && sync {link.parent}", str(link)
        )

    def _found(self, machine: Machine) -> tuple[str, str, bool]:
        """Return the digest in use, how far the wanted one is, and whether an update is in use."""
        apps, mine = self.layout.apps, self.layout.apps / self.wanted.digest
        script = f"""
          c=$(readlink {_q(self.layout.current)}); echo "${{c##*/}}"
          if [ -f {_q(mine / COMPLETE)} ]; then echo complete
          elif [ -e {_q(mine)} ]; then echo half; else echo none; fi
          if [ -n "$c" ] && [ -f {_q(apps)}/"${{c##*/}}"/bin/shopfloor-edge ] \\
            && [ ! -f {_q(apps)}/"${{c##*/}}"/.provisioned ]; then echo update; else echo ours; fi
        """
        current, state, by = machine.must(script, "environment").split("\n")
        return current, state, by == "update"

    def _bring(self, machine: Machine) -> None:
        """Copy the wheels that are not there yet, whole and with their promised digest."""
        folder = self.layout.wheels
        sums = "\n".join(f"{wheel.sha256}  {wheel.path.name}" for wheel in self.wanted.wheels)
        owner = f"{SERVICE}:{SERVICE}" if self.owned else None
        listed = folder / f"{self.wanted.digest}.sums"
        machine.put(listed, f"{sums}\n".encode(), mode="644", owner=owner)
        check = f"cd {_q(folder)} && sha256sum -c {_q(listed)} 2>/dev/null | grep -v ': OK$'; :"
        said = machine.must(check, "wheels").splitlines()
        missing = {line.rpartition(":")[0] for line in said}
        for wheel in self.wanted.wheels:
            if wheel.path.name in missing:
                content = wheel.path.read_bytes()
                machine.put(folder / wheel.path.name, content, mode="644", owner=owner)

    def _install(self, machine: Machine) -> None:
        mine = self.layout.apps / self.wanted.digest
        wanted = f"{ROOT}[{','.join(self.extras)}]" if self.extras else ROOT
        # An installer that outlived a cut would go on writing into the new environment. The
        # brackets keep this very shell, whose command line holds the pattern, from being found.
        end = f"""for p in /proc/[0-9]*; do
          if tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q "{mine.name}[/]bin/python -m pip"
          then kill -9 "${{p#/proc/}}"; fi
        done 2>/dev/null; :"""
        machine.must(end, "installer before")
        machine.must(f"rm -rf {_q(mine)} && python3 -m venv {_q(mine)}", "virtual environment")
        files = " ".join(_q(self.layout.wheels / wheel.path.name) for wheel in self.wanted.wheels)
        pip = f"{_q(mine / 'bin/python')} -m pip --isolated --disable-pip-version-check"
        # The very set that was resolved: the cache may hold wheels of other sets.
        machine.must(f"{pip} install --quiet --no-index --no-deps {files}", wanted)
        machine.must(f"{pip} check", "wheels do not fit together")
        # A folder of the caller's on this machine may be lost with the power; a device's may not.
        own = (
            f"chown -R {SERVICE}:{SERVICE} {_q(mine)} && sync -f {_q(mine)} &&"
            if self.owned
            else ""
        )
        finish = f"""
          gi=/usr/lib/python3/dist-packages/gi
          site=$({_q(mine / "bin/python")} -c '{_PURELIB}')
          [ ! -d $gi ] || ln -sfn $gi "$site/gi"
          touch {_q(mine / ".provisioned")} && {own}
          touch {_q(mine / COMPLETE)} && sync {_q(mine)}
        """
        machine.must(finish, "virtual environment")


@dataclass(frozen=True, slots=True)
class Here:
    """The environment of this very command, for devices on this machine."""

    layout: Layout
    prefix: Path = Path(sys.prefix)
    name: str = "software"

    def look(self, machine: Machine) -> list[Change]:
        """Compare the link."""
        found = machine.run(f"readlink {_q(self.layout.current)}").stdout.strip()
        if found == str(self.prefix):
            return []
        return [Change(f"link {self.layout.current} to this command's environment")]

    def do(self, machine: Machine) -> None:
        """Link it."""
        machine.must(f"ln -sfn {_q(self.prefix)} {_q(self.layout.current)}", "link")


def _q(path: PurePosixPath | Path) -> str:
    return shlex.quote(str(path))
