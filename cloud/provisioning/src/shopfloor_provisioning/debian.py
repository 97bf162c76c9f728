"""What Debian's package manager has, and whether it is at work."""

from __future__ import annotations

from collections.abc import Sequence

from shopfloor_provisioning.machine import Machine

PATIENCE_S = 900
"""An installation over a thin line, or the system's own upgrades, take their time."""
AT_REST = f"""
busy() {{
  for comm in /proc/[0-9]*/comm; do
    read -r name < "$comm" || continue
    case $name in apt|apt-get|dpkg|unattended-upgr) return 0;; esac
  done 2>/dev/null
  return 1
}}
tries=0
while busy; do
  tries=$((tries + 1))
  if [ $tries -gt {PATIENCE_S // 2} ]; then
    echo "$name has been at work for {PATIENCE_S // 60} minutes; wait for it, or end it" >&2
    exit 1
  fi
  sleep 2
done
"""
"""A script that ends when no package manager is at work."""


def await_rest(machine: Machine) -> None:
    """Wait for a package manager that is at work, as of a run that was cut: it holds the locks.

    Raises:
        DeviceError: it does not end.
    """
    machine.must(AT_REST, "packages", timeout_s=PATIENCE_S + 60)


def finish(machine: Machine) -> None:
    """Finish an installation that was cut.

    Raises:
        DeviceError: it cannot be finished.
    """
    await_rest(machine)
    machine.must("DEBIAN_FRONTEND=noninteractive dpkg --configure -a", "packages")


def missing_packages(machine: Machine, packages: Sequence[str]) -> list[str]:
    """Return those of ``packages`` that are not installed."""
    if not packages:
        return []
    script = f"""for p in {" ".join(packages)}; do
      dpkg-query -W -f '${{Status}}' $p 2>/dev/null | grep -q 'ok installed' || echo $p
    done"""
    return machine.must(script, "packages").split()
