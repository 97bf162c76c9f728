"""Certificate and key as one unit: a folder per pair, and a link that names the one in use.

``FOLDER/current`` → ``pairs/NNNNNN``; ``device.crt``, ``device.key``, ``chain.crt`` and ``ca.crt``
are links through it, for other programs. A cut at any point leaves the pair before in use.
"""

from __future__ import annotations

import os
import shutil
import ssl
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shopfloor_contracts.device_identity import IdentitySpec
from shopfloor_contracts.enrolment import Issued
from shopfloor_edge.errors import IdentityError, NotEnrolledError
from shopfloor_edge.identity.files import point, sync, write_private
from shopfloor_edge.identity.keys import AtRest, Request, at_rest
from shopfloor_edge.identity.sealing import Opener

CURRENT, PAIRS = "current", "pairs"
_KEPT = 2
"""The pair in use, and the one before, for a process that is just reading it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate that is in use."""

    folder: Path
    name: str
    serial: int
    not_before: datetime
    not_after: datetime

    @property
    def renew_at(self) -> datetime:
        """Two thirds of its life."""
        return self.not_before + (self.not_after - self.not_before) * 2 / 3

    @property
    def authority(self) -> Path:
        """The root that peers are checked against."""
        return self.folder / "ca.crt"


class Pairs:
    """The identity's folder."""

    def __init__(self, folder: Path, keys: AtRest) -> None:
        self.folder, self._keys = folder, keys

    def current(self) -> Pair:
        """Return the pair in use.

        Raises:
            NotEnrolledError: there is none yet.
            IdentityError: it cannot be read.
        """
        link = self.folder / CURRENT
        try:
            if not link.is_symlink():
                raise NotEnrolledError(
                    f"{self.folder}: this device has no certificate; 'shopfloor-edge identity "
                    f"enrol' brings one"
                )
            # Resolved once: what is read belongs together, whatever is renewed meanwhile.
            folder = link.resolve(strict=True)
            found = x509.load_pem_x509_certificate((folder / "device.crt").read_bytes())
        except (OSError, ValueError) as e:
            raise IdentityError(f"{link}: no certificate can be read there: {e}") from e
        names = [str(name.value) for name in found.subject]
        return Pair(
            folder,
            names[0] if names else "",
            found.serial_number,
            found.not_valid_before_utc,
            found.not_valid_after_utc,
        )

    def generation(self) -> str:
        """Return a name that changes with every renewal, or nothing before the first pair."""
        link = self.folder / CURRENT
        return str(link.readlink()) if link.is_symlink() else ""

    def load(self, context: ssl.SSLContext) -> Pair:
        """Give a TLS context the pair in use; connections made from now on show it.

        Raises:
            IdentityError: see ``current``; or key and certificate are no pair.
        """
        pair = self.current()
        kept = pair.folder / f"device.key{self._keys.suffix}"
        try:
            key = self._keys.reveal(kept.read_bytes())
            # OpenSSL reads files only: this one is in memory and has no name.
            descriptor = os.memfd_create("device.key", os.MFD_CLOEXEC)
            try:
                os.write(descriptor, key)
                path = f"/proc/self/fd/{descriptor}"
                context.load_cert_chain(pair.folder / "device.crt", path)
            finally:
                os.close(descriptor)
        except (OSError, ssl.SSLError) as e:
            raise IdentityError(f"{pair.folder}: certificate and key cannot be used: {e}") from e
        return pair

    def install(self, request: Request, issued: Issued) -> Pair:
        """Put a new pair in use.

        Raises:
            IdentityError: what came is not for our key, or the disk refuses; the pair before stays.
        """
        try:
            _check(request, issued)
            folder = self._next()
            write_private(
                folder / f"device.key{self._keys.suffix}", self._keys.protect(request.key)
            )
            write_private(folder / "chain.crt", issued.chain.encode(), mode=0o644)
            write_private(folder / "ca.crt", issued.authority.encode(), mode=0o644)
            both = issued.certificate + issued.chain
            write_private(folder / "device.crt", both.encode(), mode=0o644)
            sync(folder.parent)
            point(self.folder / CURRENT, f"{PAIRS}/{folder.name}")
            for name in ("device.crt", f"device.key{self._keys.suffix}", "chain.crt", "ca.crt"):
                link = self.folder / name
                if not link.is_symlink():
                    point(link, f"{CURRENT}/{name}")
            self._prune(folder)
        except OSError as e:
            raise IdentityError(f"{self.folder}: {e.strerror or e}") from e
        return self.current()

    def opener(self) -> Opener:
        """Return the key that secrets and bundles are sealed to; made at the first call.

        Raises:
            IdentityError: it cannot be read, or not be written.
        """
        path = self.folder / f"sealing.key{self._keys.suffix}"
        try:
            if not path.exists():
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                raw = X25519PrivateKey.generate().private_bytes_raw()
                write_private(path, self._keys.protect(raw))
            raw = self._keys.reveal(path.read_bytes())
            return Opener(X25519PrivateKey.from_private_bytes(raw))
        except (OSError, ValueError) as e:
            raise IdentityError(f"{path}: no sealing key can be read there: {e}") from e

    def _next(self) -> Path:
        pairs = self.folder / PAIRS
        pairs.mkdir(mode=0o700, parents=True, exist_ok=True)
        numbers = [int(path.name) for path in pairs.iterdir() if path.name.isdigit()]
        folder = pairs / f"{max(numbers, default=0) + 1:06d}"
        folder.mkdir(mode=0o700)
        return folder

    def _prune(self, newest: Path) -> None:
        for old in sorted(p for p in newest.parent.iterdir() if p.name.isdigit())[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)


def _check(request: Request, issued: Issued) -> None:
    try:
        certificate = x509.load_pem_x509_certificate(issued.certificate.encode())
        asked = x509.load_pem_x509_csr(request.csr.encode())
        issuer = x509.load_pem_x509_certificate(issued.chain.encode())
        certificate.verify_directly_issued_by(issuer)
        issuer.verify_directly_issued_by(x509.load_pem_x509_certificate(issued.authority.encode()))
    except (InvalidSignature, ValueError, TypeError) as e:
        raise IdentityError(
            f"what the identity service sent is no chain of certificates: {e!r}"
        ) from e
    if certificate.public_key() != asked.public_key() or certificate.subject != asked.subject:
        raise IdentityError("the identity service sent a certificate for another key or name")


def opener_of(spec: IdentitySpec) -> Opener:
    """Return the key of an identity; read once a process.

    Raises:
        IdentityError: it cannot be read.
    """
    return _opener_of(spec.model_dump_json())


@lru_cache(maxsize=4)
def _opener_of(spec: str) -> Opener:
    found = IdentitySpec.model_validate_json(spec)
    if found.folder is None:
        raise IdentityError("identity: the site file sets no [identity] folder")
    return Pairs(Path(found.folder), at_rest(found)).opener()
