"""A device under pyinfra, whatever the connector: shell, files that are never half written, facts.

pyinfra keeps the device at work in module-wide state, so a process holds one ``Machine`` only.
"""

from __future__ import annotations

import io
import logging
import secrets
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from paramiko import SSHException
from pyinfra.api.config import Config
from pyinfra.api.exceptions import ConnectError, PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State
from pyinfra.context import ctx_host, ctx_state

from shopfloor_provisioning.errors import DeviceError, UnreachableError

CONNECT_S = 15
COMMAND_S = 900
"""A large package on a slow link; what takes longer hangs."""
_READ_LIMIT_BYTES = 32_000_000


@dataclass(frozen=True, slots=True)
class Address:
    """How a device is reached."""

    device: str
    connector: str
    host: str = ""
    port: int = 22
    user: str = "root"
    key_file: str | None = None
    host_key: str | None = None
    known_hosts: Path | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What a command said."""

    ok: bool
    stdout: str
    stderr: str

    @property
    def last_line(self) -> str:
        """The line that most often says why."""
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return lines[-1].strip()[-300:] if lines else "said nothing"


class Machine:
    """One connected device."""

    def __init__(self, device: str, state: State, host: Host, *, is_root: bool) -> None:
        self.device = device
        self._state, self._host = state, host
        self._is_root = is_root

    def run(self, script: str, *, timeout_s: int = COMMAND_S) -> Output:
        """Run a shell script and return what it said, whether or not it worked.

        Raises:
            UnreachableError: the session broke.
        """
        with self._translated():
            ok, said = self._host.run_shell_command(
                f"sh -c {shlex.quote(script)}", _timeout=timeout_s, **self._rights()
            )
        return Output(ok, said.stdout, said.stderr)

    def must(self, script: str, what: str, *, timeout_s: int = COMMAND_S) -> str:
        """Run a script that has to work; return what it printed.

        Raises:
            DeviceError: it does not; ``what`` says what for.
        """
        output = self.run(script, timeout_s=timeout_s)
        if not output.ok:
            raise DeviceError(self.device, f"{what}: {output.last_line}")
        return output.stdout

    def operate(self, operation: Callable[..., Any], **arguments: Any) -> None:
        """Run one of pyinfra's operations, which looks first and changes what differs.

        Raises:
            DeviceError: it did not work.
        """
        with self._translated(), ctx_state.use(self._state), ctx_host.use(self._host):
            self._state.is_executing = True
            done = operation(**arguments)
        if not done.did_succeed():
            said = Output(ok=False, stdout=done.stdout, stderr=done.stderr)
            raise DeviceError(self.device, f"{operation.__name__}: {said.last_line}")

    def would(self, operation: Callable[..., Any], **arguments: Any) -> bool:
        """Say whether one of pyinfra's operations would change anything; runs nothing."""
        with self._translated(), ctx_state.use(self._state), ctx_host.use(self._host):
            self._state.is_executing = False
            return bool(operation(**arguments).will_change)

    def put(self, path: PurePosixPath, content: bytes, *, mode: str, owner: str | None) -> None:
        """Replace a file: a reader sees all of the old or all of the new, also after a cut."""
        half = f"{path.parent}/.{path.name}.{secrets.token_hex(4)}"
        names = {"half": half, "path": str(path), "folder": str(path.parent)}
        quoted = {name: shlex.quote(value) for name, value in names.items()}
        # It exists, private, before a byte of it is sent.
        self.must(
            "umask 022; mkdir -p {folder} && umask 077 && : > {half}".format(**quoted), f"{path}"
        )
        with self._translated():
            self._host.put_file(io.BytesIO(content), half, **self._rights())
        own = f"chown {shlex.quote(owner)} {quoted['half']} && " if owner else ""
        finish = "{own}chmod {mode} {half} && sync {half} && mv -f {half} {path} && sync {folder}"
        self.must(finish.format(own=own, mode=mode, **quoted), f"{path}")

    def read(self, path: PurePosixPath) -> bytes | None:
        """Return a file's content, None where there is none.

        Raises:
            DeviceError: it is larger than anything that is read here.
        """
        found = self.run(f"stat -L -c %s {shlex.quote(str(path))}")
        if not found.ok:
            return None
        if int(found.stdout) > _READ_LIMIT_BYTES:
            raise DeviceError(self.device, f"{path}: {found.stdout} bytes are too many to read")
        content = io.BytesIO()
        with self._translated():
            self._host.get_file(str(path), content, **self._rights())
        return content.getvalue()

    def close(self) -> None:
        """End the session."""
        self._host.disconnect()

    def _rights(self) -> dict[str, bool]:
        return {} if self._is_root else {"_sudo": True}

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (SSHException, EOFError, TimeoutError, OSError) as e:
            raise UnreachableError(
                self.device, f"the session broke: {str(e)[:200] or type(e).__name__}"
            ) from e
        except PyinfraError as e:
            raise DeviceError(self.device, str(e)[:300]) from e


def connect(address: Address, *, password: str | None = None) -> Machine:
    """Open a session with a device.

    Raises:
        UnreachableError: nobody answers there, or we are not let in; says what to look at.
    """
    # What it says to its log quotes commands; what matters comes back as errors.
    logging.getLogger("pyinfra").disabled = True
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    name, data = _inventory(address, password)
    inventory = Inventory(([(name, data)], {}))  # type: ignore[no-untyped-call]
    elevated = address.connector == "ssh" and address.user != "root"
    config = Config(CONNECT_TIMEOUT=CONNECT_S, SUDO=elevated)  # type: ignore[no-untyped-call]
    state = State(inventory, config)
    host = next(iter(inventory))
    try:
        host.connect(show_errors=False, raise_exceptions=True)
    except (ConnectError, SSHException, OSError, EOFError) as e:
        raise UnreachableError(address.device, _why(address, str(e))) from e
    state.activate_host(host)
    return Machine(address.device, state, host, is_root=not elevated)


def _inventory(address: Address, password: str | None) -> tuple[str, dict[str, Any]]:
    if address.connector == "local":
        return "@local", {}
    if address.connector == "chroot":
        return f"@chroot/{address.host}", {}
    data: dict[str, Any] = {
        "ssh_port": address.port,
        "ssh_user": address.user,
        "ssh_allow_agent": password is None and address.key_file is None,
        "ssh_look_for_keys": password is None and address.key_file is None,
        "ssh_strict_host_key_checking": "yes" if address.host_key else "accept-new",
    }
    if address.known_hosts is not None:
        _write_known_hosts(address)
        data["ssh_known_hosts_file"] = str(address.known_hosts)
    if address.key_file is not None:
        data["ssh_key"] = address.key_file
    if password is not None:
        data["ssh_password"] = password
    return address.host, data


def _write_known_hosts(address: Address) -> None:
    file = address.known_hosts
    if file is None:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    if address.host_key is not None:
        plain = address.port == 22
        name = address.host if plain else f"[{address.host}]:{address.port}"
        file.write_text(f"{name} {address.host_key}\n")
    elif not file.exists():
        file.touch(mode=0o600)


def _why(address: Address, said: str) -> str:
    where = f"{address.user}@{address.host}:{address.port}"
    if address.connector == "chroot":
        return f"{address.host} is no root that can be entered: {said.strip()[:200]}"
    lowered = said.lower()
    if "authentication" in lowered or "no authentication methods" in lowered:
        return f"{where} does not let us in: look at user, key_file or password_secret"
    if "host key" in lowered or "known_hosts" in lowered:
        return (
            f"{where} has another host key than expected: if the device was set up anew, "
            f"change host_key or remove {address.known_hosts}; otherwise somebody is in between"
        )
    if "resolve" in lowered or "not known" in lowered:
        return f"{address.host} is no name that can be found: look at address"
    if "encrypted" in lowered or "private key" in lowered or "no such file" in lowered:
        return f"key_file {address.key_file} cannot be used: {said.strip()[:200]}"
    return f"{where} does not answer ({said.strip()[:160]}): is it on, and is sshd running?"
