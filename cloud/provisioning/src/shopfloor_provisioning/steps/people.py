"""Who may sign in to the console of a device, and the files that other steps want beside."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shopfloor_provisioning.layout import Layout
from shopfloor_provisioning.machine import Machine
from shopfloor_provisioning.steps.ports import SERVICE, Change
from shopfloor_provisioning.store import Person


@dataclass(frozen=True, slots=True)
class Staff:
    """The people of the site's file can sign in; nobody who was added on the device is removed.

    A PIN is set when a person is added. It is kept as a hash, so a PIN that was changed in the
    secrets is not noticed: the console's own command sets a new one.
    """

    layout: Layout
    people: tuple[Person, ...]
    pins: Mapping[str, str] = field(repr=False)
    """By the name of the secret."""
    owned: bool
    on_pin: list[tuple[str, str]] = field(default_factory=list, repr=False)
    """Name and PIN of each person for whom the device made one: shown once, kept nowhere."""
    name: str = "staff"

    def look(self, machine: Machine) -> list[Change]:
        """Ask the console's command who is there."""
        return [Change(f"admit {p.name} as {p.role}") for p in self._absent(machine)]

    def do(self, machine: Machine) -> None:
        """Admit those who are absent."""
        for person in self._absent(machine):
            words = ["add", person.name, "--role", person.role]
            if person.pin_secret is None:
                said = machine.must(self._command([*words, "--make-pin"]), person.name)
                self.on_pin.append((person.name, said.rpartition("PIN ")[2].strip()))
            else:
                self._add(machine, words, self.pins[person.pin_secret])

    def _add(self, machine: Machine, words: Sequence[str], pin: str) -> None:
        # Through a file that only root reads: a command line is everybody's to read.
        path = self.layout.secrets / f".pin-{secrets.token_hex(4)}"
        machine.put(path, f"{pin}\n".encode(), mode="600", owner=None)
        quoted = shlex.quote(str(path))
        machine.must(
            f"{self._command(words)} <{quoted}; code=$?; rm -f {quoted}; exit $code", words[1]
        )

    def _absent(self, machine: Machine) -> list[Person]:
        said = machine.run(self._command(["list"])).stdout.splitlines()
        there = {line.rpartition(":")[0].casefold(): line.rpartition(": ")[2] for line in said}
        return [p for p in self.people if there.get(p.name.casefold()) != p.role]

    def _command(self, words: Sequence[str]) -> str:
        program = [str(self.layout.command), "console", "staff", *words]
        program += ["--state", str(self.layout.state)]
        if self.owned:
            rights = ["setpriv", "--reuid", SERVICE, "--regid", SERVICE, "--init-groups"]
            program = [*rights, *program]
        return f"cd / && HOME={shlex.quote(str(self.layout.state))} {shlex.join(program)}"
