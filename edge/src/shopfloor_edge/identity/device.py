"""What a device does about its identity: enrol once, renew in time, fetch its secrets."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from shopfloor_contracts.enrolment import EnrolRequest, device_name
from shopfloor_contracts.problems import describe
from shopfloor_contracts.site import SiteFile
from shopfloor_edge.errors import IdentityError
from shopfloor_edge.identity.client import IdentityClient, context_for, tls_context
from shopfloor_edge.identity.files import write_private
from shopfloor_edge.identity.keys import at_rest, new_request, tpm_of
from shopfloor_edge.identity.marks import purpose_of
from shopfloor_edge.identity.pairs import Pair, Pairs

log = logging.getLogger(__name__)

SECRETS = "secrets"
_SERIAL_FILES = (
    "/sys/firmware/devicetree/base/serial-number",
    "/sys/class/dmi/id/product_serial",
    "/etc/machine-id",
)


@dataclass(frozen=True, slots=True)
class Invitation:
    """What an installer brings."""

    token: str
    serial: str


class Identity:
    """This device's, as its site file describes it.

    Raises:
        IdentityError: the site file has no ``[identity]``.
    """

    def __init__(self, site: SiteFile, *, now: Callable[[], datetime] | None = None) -> None:
        spec = site.identity
        if spec.folder is None:
            raise IdentityError("identity: the site file sets no [identity] folder")
        self.name = device_name(site.site, site.device)
        self.folder = Path(spec.folder)
        self.pairs = Pairs(self.folder, at_rest(spec))
        self._spec, self._now = spec, now or (lambda: datetime.now(UTC))

    def enrol(self, invitation: Invitation) -> Pair:
        """Bring the first certificate; the one in use stays until the new one is durable.

        Raises:
            IdentityRefusedError, IdentityDelayedError: see ``IdentityClient``.
            IdentityError: key or folder cannot be used.
        """
        tpm = tpm_of(self._spec)
        request = new_request(self.name)
        try:
            asked = EnrolRequest(
                token=invitation.token,
                serial=invitation.serial,
                csr=request.csr,
                at=self._now(),
                sealing_key=self.pairs.opener().public,
                attestation_key=None if tpm is None else tpm.attestation_key(),
            )
        except ValidationError as e:
            raise IdentityError("enrol: " + "; ".join(describe(e, EnrolRequest))) from e
        client = IdentityClient(self._url(), tls_context(self._authority()))
        try:
            return self.pairs.install(request, client.enrol(asked))
        finally:
            client.close()

    def renew(self) -> Pair:
        """Bring the next certificate, shown the present one. Raises as ``enrol``."""
        pair, now = self.pairs.current(), self._now()
        if not pair.not_before <= now < pair.not_after:
            raise IdentityError(
                f"the certificate holds from {pair.not_before:%Y-%m-%d %H:%M} to "
                f"{pair.not_after:%Y-%m-%d %H:%M} UTC, here it is {now:%Y-%m-%d %H:%M}: "
                "set the clock, or enrol again"
            )
        request = new_request(self.name)
        client = IdentityClient(self._url(), context_for(self.pairs, self._authority()))
        try:
            return self.pairs.install(request, client.renew(request.csr))
        finally:
            client.close()

    def fetch_secrets(self) -> list[str]:
        """Bring the site's secrets and keep them sealed; return their names. Raises as ``enrol``.

        Raises:
            TpmError, SealError: see ``IdentityClient.secrets``.
        """
        opener = self.pairs.opener()
        client = IdentityClient(self._url(), context_for(self.pairs, self._authority()))
        try:
            found = client.secrets(opener, tpm_of(self._spec), self._spec.quote_pcrs)
        finally:
            client.close()
        folder = self.folder / SECRETS
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            for name, content in found.items():
                if Path(name).name != name or name.startswith("."):
                    raise IdentityError(f"identity service: {name[:80]!r} is no name of a secret")
                write_private(folder / name, opener.sealer().seal(content, purpose_of(name)))
        except OSError as e:
            raise IdentityError(f"{folder}: {e.strerror or e}") from e
        return sorted(found)

    def show(self, context: ssl.SSLContext) -> Pair:
        """Let ``context`` show the pair in use. Raises ``IdentityError``."""
        return self.pairs.load(context)

    def _url(self) -> str:
        if self._spec.url is None:
            raise IdentityError("identity: the site file sets no [identity] url")
        return self._spec.url

    def _authority(self) -> str | None:
        if self._spec.ca_file is not None:
            return self._spec.ca_file
        kept = self.folder / "ca.crt"
        return str(kept) if kept.exists() else None


def hardware_serial() -> str:
    """Return the serial of this machine, or its machine id, or nothing."""
    for path in map(Path, _SERIAL_FILES):
        try:
            text = path.read_bytes().strip(b"\0\n ").decode()
        except (OSError, UnicodeDecodeError):
            continue
        if text and text.isprintable() and "default string" not in text.lower():
            return text
    return ""
