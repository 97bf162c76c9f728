"""A real mosquitto on the loopback address, with the product's access rules and fresh passwords."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
from pathlib import Path

from shopfloor_demo.errors import DemoError, ToolMissingError
from shopfloor_demo.processes import Processes, free_port, wait_until

NAME = "broker"
HOST = "127.0.0.1"

# max_queued_messages: the default of 1000 drops silently while a client is away.
# autosave_interval: what a killed broker forgets, at most; devices send that again.
_CONFIG = """\
listener {port} {host}
user {user}
allow_anonymous false
set_tcp_nodelay true
password_file {folder}/passwords
acl_file {folder}/acl
persistence true
persistence_location {folder}/
autosave_interval 10
max_queued_messages 200000
max_inflight_messages 2000
log_dest stderr
log_type error
log_type warning
log_type notice
"""


class Broker:
    """One mosquitto in a folder of its own; keeps its port and its memory over a restart."""

    def __init__(
        self, folder: Path, processes: Processes, *, users: list[str], acl_file: Path
    ) -> None:
        """Write configuration and passwords; start nothing.

        Raises:
            ToolMissingError: mosquitto is not installed.
        """
        self._folder, self._processes = folder, processes
        self.port = free_port()
        folder.mkdir(parents=True, mode=0o700)
        self._write_passwords(users)
        # mosquitto reads a plain file as the user it runs as, which may not see the checkout.
        _write_private(folder / "acl", acl_file.read_text())
        config = _CONFIG.format(
            port=self.port, host=HOST, folder=folder, user=pwd.getpwuid(os.getuid()).pw_name
        )
        _write_private(folder / "mosquitto.conf", config)

    def password_file(self, user: str) -> Path:
        """Return the file that holds the password of ``user`` and nothing else."""
        return self._folder / f"password-{user.replace('/', '-')}"

    def start(self) -> None:
        """Start it and return when it takes connections."""
        config = str(self._folder / "mosquitto.conf")
        self._processes.start(NAME, [_program("mosquitto"), "-c", config])
        self.wait_ready()

    def restart(self) -> None:
        """Start it again on the same port, with what it had saved."""
        self._processes.restart(NAME)
        self.wait_ready()

    def wait_ready(self) -> None:
        """Return when it takes connections.

        Raises:
            ProcessDiedError: it ended instead.
        """
        wait_until(self._takes_connections, timeout_s=10.0, what="answer from the broker")

    def _takes_connections(self) -> bool:
        self._processes.check(NAME)
        try:
            with socket.create_connection((HOST, self.port), timeout=1.0):
                return True
        except OSError:
            return False

    def _write_passwords(self, users: list[str]) -> None:
        plain = {user: secrets.token_urlsafe(24) for user in users}
        for user, password in plain.items():
            _write_private(self.password_file(user), password)
        hashed = self._folder / "passwords"
        _write_private(hashed, "".join(f"{user}:{word}\n" for user, word in plain.items()))
        # -U hashes the file in place: a password on a command line is everybody's to read.
        argv = [_program("mosquitto_passwd"), "-U", str(hashed)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, umask=0o077)
        if done.returncode:
            raise DemoError(f"mosquitto_passwd: {done.stderr.strip()}")
        hashed.chmod(0o600)


def _program(name: str) -> str:
    # Debian keeps servers in /usr/sbin, which is not on everybody's path.
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if path is None:
        raise ToolMissingError(name, package="mosquitto")
    return path


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
