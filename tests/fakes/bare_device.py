"""A bare Debian machine with sshd and systemd, in a network namespace: what an installer finds.

The system is debootstrapped once and kept in the cache; each device is a copy. systemd-nspawn
boots it with a systemd of its own, so that units, watchdogs and restarts are the real ones.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from fakes.store_network import StoreNetwork

PACKAGES = "systemd,systemd-sysv,dbus,openssh-server,python3-minimal,sudo,ca-certificates,iproute2"
"""What any installation of Debian has."""
SUITE = "bookworm"
MIRROR = ("deb.debian.org", 80)
BOOT_S = 60.0


def why_not() -> str | None:
    """Return what is missing for a bare device here, or None."""
    for program, package in (
        ("debootstrap", "debootstrap"),
        ("systemd-nspawn", "systemd-container"),
        ("ssh-keygen", "openssh-client"),
    ):
        if shutil.which(program) is None:
            return f"{program} is not installed: apt-get install {package}"
    return None


def base_system(cache: Path) -> Path:
    """Return the folder of a fresh Debian, made once."""
    made = cache / f"{SUITE}-{len(PACKAGES)}"
    if not made.exists():
        partial = made.with_suffix(".part")
        shutil.rmtree(partial, ignore_errors=True)
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(partial),
             f"http://{MIRROR[0]}/debian"],
            check=True, stdout=subprocess.DEVNULL, timeout=600,
        )  # fmt: skip
        partial.rename(made)
    return made


class BareDevice:
    """One machine; ``address``, ``user`` and ``key`` are how an installer comes in."""

    def __init__(
        self, network: StoreNetwork, folder: Path, *, cache: Path, mirror_port: int
    ) -> None:
        self.address, self.user, self.key = network.device, "installer", folder / "key"
        self.root = folder / "root"
        self._network, self._log = network, folder / "boot.log"
        self._machine: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "--reflink=auto", base_system(cache), self.root], check=True)
        self._let_in()
        self._name_mirror(mirror_port)

    def boot(self) -> None:
        """Start it and return when its sshd answers.

        Raises:
            RuntimeError: it did not within ``BOOT_S``.
        """
        namespace = f"--network-namespace-path=/run/netns/{self._network.name('device')}"
        with self._log.open("ab") as log:
            self._machine = subprocess.Popen(
                ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", namespace,
                 "--console=pipe", "--resolv-conf=off", "-M", self._network.name("device"),
                 "-D", self.root, "-b"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        until_s = time.monotonic() + BOOT_S
        while time.monotonic() < until_s and self._machine.poll() is None:
            try:
                with socket.create_connection((self.address, 22), timeout=1) as connection:
                    if connection.recv(4) == b"SSH-":
                        return
            except OSError:
                time.sleep(0.2)  # nothing tells from outside that a machine has booted
        raise RuntimeError(f"the device did not boot: {self._log.read_text()[-1500:]}")

    def run(self, command: str, *, timeout_s: float = 60) -> str:
        """Run a shell command as root by ssh; return what it says."""
        done = subprocess.run(
            ["ssh", "-i", self.key, "-o", "StrictHostKeyChecking=no", "-o",
             "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
             f"{self.user}@{self.address}", f"sudo sh -c '{command}'"],
            capture_output=True, text=True, check=True, timeout=timeout_s,
        )  # fmt: skip
        return done.stdout

    def pull_the_plug(self) -> None:
        """End it as a power cut does: nothing inside gets to hear of it."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End it and remove its disk."""
        self._end(signal.SIGKILL)
        shutil.rmtree(self.root, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        if self._machine is not None and self._machine.poll() is None:
            children = Path(f"/proc/{self._machine.pid}/task/{self._machine.pid}/children")
            inside = [os.pidfd_open(int(child)) for child in children.read_text().split()]
            for first in inside:
                signal.pidfd_send_signal(first, how)
            self._machine.kill()
            self._machine.wait(30)
            for first in inside:
                # Readable when it has ended, and with it everything in its PID namespace.
                select.select([first], [], [], 30)
                os.close(first)
        self._machine = None

    def _let_in(self) -> None:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        chroot = ["chroot", str(self.root)]
        subprocess.run([*chroot, "useradd", "-m", "-s", "/bin/bash", self.user], check=True)
        home = self.root / "home" / self.user / ".ssh"
        home.mkdir(mode=0o700)
        shutil.copy(self.key.with_suffix(".pub"), home / "authorized_keys")
        subprocess.run([*chroot, "chown", "-R", self.user, f"/home/{self.user}/.ssh"], check=True)
        rule = self.root / "etc" / "sudoers.d" / self.user
        rule.write_text(f"{self.user} ALL=(ALL) NOPASSWD: ALL\n")
        rule.chmod(0o440)
        (self.root / "etc" / "hostname").write_text("door\n")
        # As the installer of Debian leaves it. Who asks for a name else waits for a DNS server.
        (self.root / "etc" / "hosts").write_text("127.0.0.1 localhost\n127.0.1.1 door\n")
        (self.root / "etc" / "resolv.conf").unlink(missing_ok=True)
        (self.root / "etc" / "resolv.conf").touch()

    def _name_mirror(self, port: int) -> None:
        sources = self.root / "etc" / "apt" / "sources.list"
        sources.write_text(f"deb http://{MIRROR[0]}/debian {SUITE} main\n")
        proxy = self.root / "etc" / "apt" / "apt.conf.d" / "90proxy"
        proxy.write_text(f'Acquire::http::Proxy "http://{self._network.here}:{port}";\n')
