"""Who gives devices their certificates: the identity service, or the authority of a cloud here."""

from __future__ import annotations

import secrets
import shlex
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from shopfloor_provisioning.errors import DeviceError, OperatorError, ProvisioningError
from shopfloor_provisioning.layout import Layout
from shopfloor_provisioning.machine import Machine
from shopfloor_provisioning.steps.ports import SERVICE
from shopfloor_stack.errors import StackError
from shopfloor_stack.pki import Authority

OPERATOR_SECRET = "IDENTITY_OPERATOR"  # noqa: S105 — its name
"""Name of the secret that holds the bearer token for the identity service."""
_ANSWER_S = 15.0
_TOKEN_MINUTES = 15


@dataclass(frozen=True, slots=True)
class ByAuthority:
    """The authority of ``make cloud-up`` on this machine makes key and certificate itself."""

    folder: Path

    def enrol(self, machine: Machine, layout: Layout, *, site: str, device: str) -> None:
        """Issue, and place certificate, key and authority."""
        try:
            authority = Authority(self.folder)
            pair = authority.client(f"device-{site}..{device}", f"{site}/{device}")
        except StackError as e:
            raise OperatorError(str(e)) from e
        folder = layout.identity
        # The certificate last: where it lies, its key does too.
        machine.put(folder / "ca.crt", authority.certificate.read_bytes(), mode="640", owner=None)
        machine.put(folder / "device.key", pair.key.read_bytes(), mode="600", owner=None)
        machine.put(folder / "device.crt", pair.certificate.read_bytes(), mode="640", owner=None)


@dataclass(frozen=True, slots=True)
class ByToken:
    """The identity service makes a one-time token; the device makes its key and enrols."""

    url: str
    operator: str = field(repr=False)
    """Bearer token for the identity service."""
    authority: Path | None
    """Root that the service is believed by; None takes this machine's."""
    hosts: tuple[str, ...]
    owned: bool

    def enrol(self, machine: Machine, layout: Layout, *, site: str, device: str) -> None:
        """Ask for a token, hand it over, and let the device enrol."""
        serial = self._serial(machine, layout)
        token = self._token({"site": site, "device": device, "serial": serial})
        path = layout.secrets / f".token-{secrets.token_hex(4)}"
        machine.put(path, token.encode(), mode="600", owner=None)
        quoted = shlex.quote(str(path))
        words = ["enrol", "--site", str(layout.site_file), "--serial", serial]
        command = self._command(layout, words)
        script = f"{command} <{quoted} >/dev/null; code=$?; rm -f {quoted}; exit $code"
        said = machine.run(script)
        if not said.ok:
            raise DeviceError(machine.device, f"enrolment: {said.last_line.replace(token, '…')}")

    def _serial(self, machine: Machine, layout: Layout) -> str:
        """Return the hardware's serial; a virtual machine's is its machine id."""
        said = machine.run(self._command(layout, ["serial"])).stdout
        serial = said.rpartition("serial: ")[2].strip()
        if serial:
            return serial
        other = machine.run("cat /etc/machine-id").stdout.strip()
        if not other:
            raise DeviceError(machine.device, "enrolment: it has no serial and no /etc/machine-id")
        return f"machine-id:{other}"

    def _token(self, wanted: dict[str, str]) -> str:
        body = {**wanted, "minutes": _TOKEN_MINUTES, "hosts": list(self.hosts)}
        verify = ssl.create_default_context(cafile=self.authority)
        headers = {"Authorization": f"Bearer {self.operator}"}
        url = f"{self.url.rstrip('/')}/api/v1/tokens"
        try:
            answer = httpx.post(
                url, json=body, headers=headers, verify=verify, timeout=_ANSWER_S, trust_env=False
            )
        except httpx.TransportError as e:
            raise ProvisioningError(f"identity service {self.url} does not answer: {e}") from e
        if answer.status_code != 201:
            raise OperatorError(f"identity service {self.url}: {_why(answer)}")
        return str(answer.json()["token"])

    def _command(self, layout: Layout, words: Sequence[str]) -> str:
        program = [str(layout.command), "identity", *words]
        if self.owned:
            rights = ["setpriv", "--reuid", SERVICE, "--regid", SERVICE, "--init-groups"]
            program = [*rights, *program]
        return f"cd / && HOME={shlex.quote(str(layout.state))} {shlex.join(program)}"


def _why(answer: httpx.Response) -> str:
    if answer.status_code in (401, 403):
        return f"refuses the token in SHOPFLOOR_SECRET_{OPERATOR_SECRET}"
    try:
        said = answer.json().get("detail") or answer.json().get("title")
    except ValueError:
        said = None
    return f"answers with {answer.status_code}: {str(said)[:200]}"
