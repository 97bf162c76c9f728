"""The processes run, each with what was decided last: by systemd, or by a keeper where none is.

A process carries the digest of what it was started with in its environment, so that one which runs
with older settings is found by looking at it, whatever the clocks say.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from pyinfra.operations import systemd

from shopfloor_provisioning.layout import Layout
from shopfloor_provisioning.machine import Machine
from shopfloor_provisioning.processes import argv, pid_file, unit
from shopfloor_provisioning.steps.ports import SERVICE, Change

MARK = "SHOPFLOOR_INPUTS"
QUIET = "OMP_NUM_THREADS=1 ORT_DISABLE_TELEMETRY=1"
"""As in the units: one thread a worker, and nothing to the runtime's maker."""
_SETTLE_S = 3
"""A process that cannot read its settings has ended by then."""
_STOP_S = 30


@dataclass(frozen=True, slots=True)
class Units:
    """Units of systemd: enabled, and run with these inputs. ``starts`` is off for an image."""

    layout: Layout
    processes: tuple[str, ...]
    inputs: str
    starts: bool
    name: str = "start"

    def look(self, machine: Machine) -> list[Change]:
        """Ask systemd, and look at each process's environment."""
        changes = [
            Change(f"enable {unit(process)}")
            for process in self.processes
            if not machine.run(f"systemctl is-enabled --quiet {unit(process)}").ok
        ]
        if not self.starts:
            return changes
        ask = "systemctl show -p MainPID --value {}"
        pids = {p: machine.run(ask.format(unit(p))).stdout.strip() or "0" for p in self.processes}
        return changes + _differing(machine, pids, self.inputs)

    def do(self, machine: Machine) -> None:
        """Enable, and restart those that run with something else."""
        wanted = self.look(machine)
        if self.starts:
            machine.operate(systemd.daemon_reload)
        for process in self.processes:
            machine.must(f"systemctl enable --quiet {unit(process)}", unit(process))
            if self.starts and Change(f"start {process}") in wanted:
                machine.must(f"systemctl restart {unit(process)}", unit(process))
        if self.starts:
            machine.run(f"sleep {_SETTLE_S}")


@dataclass(frozen=True, slots=True)
class Kept:
    """A keeper per process, for hosts without systemd."""

    layout: Layout
    processes: tuple[str, ...]
    inputs: str
    owned: bool
    name: str = "start"

    def look(self, machine: Machine) -> list[Change]:
        """Look at each keeper's environment."""
        return _differing(machine, kept_pids(machine, self.layout, self.processes), self.inputs)

    def do(self, machine: Machine) -> None:
        """End those that run with something else, and start them anew."""
        pids = kept_pids(machine, self.layout, self.processes)
        wanted = {change.what for change in _differing(machine, pids, self.inputs)}
        for process in self.processes:
            if f"start {process}" in wanted:
                stop_kept(machine, self.layout, process)
                self._start(machine, process)
        machine.run(f"sleep {_SETTLE_S}")

    def _start(self, machine: Machine, process: str) -> None:
        layout = self.layout
        log = layout.logs / f"{process}.log"
        command = [str(layout.product / "keeper.sh"), str(log), str(pid_file(process, layout))]
        command += argv(process, layout)
        if self.owned:
            groups = f"--reuid {SERVICE} --regid {SERVICE} --init-groups"
            command = ["setpriv", *groups.split(), *command]
        marks = f"{MARK}={self.inputs} HOME={shlex.quote(str(layout.state))} {QUIET}"
        started = f"{marks} nohup setsid {shlex.join(command)} >/dev/null 2>&1 </dev/null &"
        machine.must(f"cd /; {started}", process)


def stop_kept(machine: Machine, layout: Layout, process: str) -> bool:
    """End a process and its keeper; says whether it ran."""
    pid = kept_pids(machine, layout, [process])[process]
    if pid == "0":
        return False
    # Only the process whose command line names our pid file: ids are used again.
    script = f"""kill -TERM {pid}; n=0
      while kill -0 {pid} 2>/dev/null && [ $n -lt {_STOP_S * 10} ]; do sleep 0.1; n=$((n+1)); done
      if kill -0 {pid} 2>/dev/null; then kill -KILL -{pid}; fi; :"""
    machine.must(script, f"end {process}")
    return True


def kept_pids(machine: Machine, layout: Layout, processes: Sequence[str]) -> dict[str, str]:
    """Return the id of each keeper that runs, ``0`` where none does."""
    files = " ".join(shlex.quote(str(pid_file(process, layout))) for process in processes)
    script = f"""for f in {files}; do
      p=$(cat "$f" 2>/dev/null || echo 0)
      if [ "$p" != 0 ] && tr '\\0' '\\n' <"/proc/$p/cmdline" 2>/dev/null | grep -qxF "$f"
      then echo "$p"; else echo 0; fi
    done"""
    found = machine.must(script, "processes").split()
    return dict(zip(processes, found, strict=True))


def _differing(machine: Machine, pids: dict[str, str], inputs: str) -> list[Change]:
    changes = []
    for process, pid in pids.items():
        marked = f"tr '\\0' '\\n' </proc/{pid}/environ | grep -qxF {MARK}={inputs}"
        if pid == "0" or not machine.run(marked).ok:
            changes.append(Change(f"start {process}"))
    return changes
