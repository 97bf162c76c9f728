"""The device's certificate: looked at here, got from whoever issues it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from shopfloor_provisioning.layout import Layout
from shopfloor_provisioning.machine import Machine
from shopfloor_provisioning.steps.ports import SERVICE, Change


class Enroller(Protocol):
    """Gives a device its certificate."""

    def enrol(self, machine: Machine, layout: Layout, *, site: str, device: str) -> None:
        """Leave ``ca.crt``, ``device.crt`` and ``device.key`` in the device's identity folder.

        Raises:
            DeviceError: the device did not get one.
            OperatorError: the issuer refuses, or does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate of this device's name that is still valid, and its key."""

    layout: Layout
    site: str
    device: str
    enroller: Enroller
    owned: bool
    name: str = "identity"

    def look(self, machine: Machine) -> list[Change]:
        """Read the certificate; a device renews its own, so only one that has ended is replaced."""
        problem = self._problem(machine)
        return [] if problem is None else [Change(f"enrol {self.site}/{self.device}: {problem}")]

    def do(self, machine: Machine) -> None:
        """Enrol."""
        self.enroller.enrol(machine, self.layout, site=self.site, device=self.device)
        if self.owned:
            folder = self.layout.identity
            machine.must(
                f"chown -R {SERVICE}:{SERVICE} {folder} && chown root:{SERVICE} {folder} "
                f"&& chmod 770 {folder}",
                "identity",
            )

    def _problem(self, machine: Machine) -> str | None:
        folder = self.layout.identity
        pem = machine.read(folder / "device.crt")
        if pem is None or machine.read(folder / "ca.crt") is None:
            return "it has no certificate"
        try:
            held = x509.load_pem_x509_certificate(pem)
        except ValueError:
            return "its certificate cannot be read"
        names = [str(a.value) for a in held.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if names != [f"{self.site}/{self.device}"]:
            return f"its certificate is of {', '.join(names) or 'nobody'}"
        if held.not_valid_after_utc <= datetime.now(UTC):
            return f"its certificate ended on {held.not_valid_after_utc:%Y-%m-%d}"
        return _key_problem(machine.read(folder / "device.key"), held)


def _key_problem(pem: bytes | None, held: x509.Certificate) -> str | None:
    """Compare the key's public half with the certificate; a TPM keeps its own."""
    if pem is None:
        return "its key is missing"
    if b"PRIVATE KEY" not in pem or b"TSS2" in pem:
        return None
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        return "its key cannot be read"
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    same = key.public_key().public_bytes(encoding, form) == held.public_key().public_bytes(
        encoding, form
    )
    return None if same else "its key is not the certificate's"
