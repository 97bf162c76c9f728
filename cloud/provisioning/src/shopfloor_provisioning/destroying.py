"""Takes a device back: processes end, and everything that was brought is removed."""

from __future__ import annotations

import shlex

from shopfloor_provisioning.device import Plan
from shopfloor_provisioning.machine import Machine
from shopfloor_provisioning.preflight import Facts
from shopfloor_provisioning.processes import COMMANDS, unit
from shopfloor_provisioning.steps.ports import SERVICE
from shopfloor_provisioning.steps.running import stop_kept


def destroy(plan: Plan, machine: Machine, facts: Facts) -> list[str]:
    """Remove the device's processes, programs, settings, identity and state; return what was.

    Packages of the system and the wheels of other programs stay.
    """
    removed = []
    layout = plan.layout
    for process in COMMANDS:
        if plan.owned and (facts.has_systemd or plan.is_image):
            path = shlex.quote(str(layout.units / unit(process)))
            if machine.run(f"[ -e {path} ]").ok:
                now = "--now " if facts.has_systemd else ""
                machine.must(f"systemctl disable --quiet {now}{unit(process)}", unit(process))
                machine.must(f"rm -rf {path} {path}.d", unit(process))
                removed.append(f"end {process}")
        elif stop_kept(machine, layout, process):
            removed.append(f"end {process}")
    folders = [layout.settings, layout.product, layout.wheels.parent, layout.state]
    folders += [layout.run, layout.logs]
    if not plan.owned:
        # The whole of it is ours, by its place and by what we put there.
        folders = [layout.root]
    for folder in folders:
        quoted = shlex.quote(str(folder))
        if machine.run(f"[ -e {quoted} ]").ok:
            machine.must(f"rm -rf {quoted}", str(folder))
            removed.append(f"remove {folder}")
    if plan.owned and machine.run(f"getent passwd {SERVICE} >/dev/null").ok:
        machine.must(f"userdel {SERVICE}", SERVICE)
        removed.append(f"remove user {SERVICE}")
    return removed
