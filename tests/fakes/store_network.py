"""Network namespaces of one store: a device, the cloud, and a router between them and here.

Where this process runs is the store's own network: the installer's laptop, the staff's tablet and
the package mirror. The way to the cloud can be cut without cutting the device off from the staff.
Names and addresses are drawn, so that several networks stand beside each other, and beside what an
earlier run left when it was killed. ``close`` removes everything.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import subprocess
from collections.abc import Sequence

_NETS = {"device": 1, "cloud": 2, "here": 3}


def why_not() -> str | None:
    """Return why namespaces cannot be made here, or None when they can."""
    if os.geteuid() != 0:
        return "network namespaces want root"
    if shutil.which("ip") is None:
        return "network namespaces want iproute2"
    name = f"sf{secrets.token_hex(3)}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"network namespaces are refused here: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return None


class StoreNetwork:
    """``device`` and ``cloud`` hang on a router, and so does the namespace that we run in.

    Attributes:
        device, cloud, here: the addresses of the three.
    """

    def __init__(self) -> None:
        self._mark = f"sf{secrets.token_hex(3)}"
        self._link = f"{self._mark}h"
        self._net = _free_net()
        self.device, self.cloud, self.here = (self._address(part, 2) for part in _NETS)
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def name(self, part: str) -> str:
        """Return the name of the namespace ``device``, ``cloud`` or ``router``."""
        return f"{self._mark}-{part}"

    def command(self, part: str, command: Sequence[str]) -> list[str]:
        """Return ``command`` as one that runs in the namespace ``part``."""
        return ["ip", "netns", "exec", self.name(part), *command]

    def cut_wan(self) -> None:
        """Take the cloud's cable out; who sends into it gets no answer, not even a refusal."""
        self._ip("-n", self.name("router"), "link", "set", "cloud", "down")

    def mend_wan(self) -> None:
        """Put the cloud's cable in again."""
        self._ip("-n", self.name("router"), "link", "set", "cloud", "up")

    def close(self) -> None:
        """Remove all namespaces, and with them all links."""
        for part in ("device", "cloud", "router"):
            subprocess.run(
                ["ip", "netns", "del", self.name(part)], capture_output=True, check=False
            )
        subprocess.run(["ip", "link", "del", self._link], capture_output=True, check=False)

    def _address(self, part: str, host: int) -> str:
        return f"{self._net}.{_NETS[part]}.{host}"

    def _make(self) -> None:
        router = self.name("router")
        for part in ("router", "device", "cloud"):
            self._ip("netns", "add", self.name(part))
            self._ip("-n", self.name(part), "link", "set", "lo", "up")
        for part in ("device", "cloud"):
            gateway = self._address(part, 1)
            self._ip("-n", router, "link", "add", part, "type", "veth",
                     "peer", "name", "eth0", "netns", self.name(part))  # fmt: skip
            self._ip("-n", router, "addr", "add", f"{gateway}/24", "dev", part)
            self._ip("-n", router, "link", "set", part, "up")
            self._ip("-n", self.name(part), "addr", "add", f"{self._address(part, 2)}/24",
                     "dev", "eth0")  # fmt: skip
            self._ip("-n", self.name(part), "link", "set", "eth0", "up")
            self._ip("-n", self.name(part), "route", "add", "default", "via", gateway)
        self._ip("link", "add", self._link, "type", "veth", "peer", "name", "here", "netns", router)
        self._ip("addr", "add", f"{self.here}/24", "dev", self._link)
        self._ip("link", "set", self._link, "up")
        self._ip("-n", router, "addr", "add", f"{self._address('here', 1)}/24", "dev", "here")
        self._ip("-n", router, "link", "set", "here", "up")
        for part in ("device", "cloud"):
            net = f"{self._net}.{_NETS[part]}.0/24"
            self._ip("route", "add", net, "via", self._address("here", 1))
        forward = ["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]
        subprocess.run(self.command("router", forward), check=True)

    def _ip(self, *words: str) -> None:
        done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _free_net() -> str:
    """Return two bytes of a private network that no route here leads to yet."""
    for second in random.sample(range(64, 192), 128):
        listed = ["ip", "-4", "route", "show", "root", f"10.{second}.0.0/16"]
        if not subprocess.run(listed, capture_output=True, text=True, check=True).stdout.strip():
            return f"10.{second}"
    raise RuntimeError("10.64.0.0 to 10.191.0.0: all networks are in use here")
