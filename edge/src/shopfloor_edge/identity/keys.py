"""Keys of the device at rest: a private file, or a file that only this machine's TPM opens."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

from shopfloor_contracts.device_identity import IdentitySpec
from shopfloor_edge.errors import IdentityError
from shopfloor_edge.identity.tpm import Tpm

WRAPPING = "wrapping"
_NONCE_BYTES = 12


class AtRest(Protocol):
    """How a private key lies on the disk."""

    suffix: str
    """Of its file's name."""

    def protect(self, key: bytes) -> bytes:
        """Return what is written."""

    def reveal(self, kept: bytes) -> bytes:
        """Return the key. Raises ``IdentityError``."""


class PlainFile:
    """As it is, in a file that its owner alone can read."""

    suffix = ""

    def protect(self, key: bytes) -> bytes:
        """See ``AtRest``."""
        return key

    def reveal(self, kept: bytes) -> bytes:
        """See ``AtRest``."""
        return kept


class TpmWrapped:
    """Encrypted with a key that the TPM keeps; it is asked once a process."""

    suffix = ".tpm"

    def __init__(self, tpm: Tpm, registers: tuple[int, ...]) -> None:
        self._tpm, self._registers = tpm, registers
        self._key: AESGCM | None = None

    def protect(self, key: bytes) -> bytes:
        """See ``AtRest``."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._wrapping().encrypt(nonce, key, None)

    def reveal(self, kept: bytes) -> bytes:
        """See ``AtRest``."""
        try:
            return self._wrapping().decrypt(kept[:_NONCE_BYTES], kept[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError) as e:
            raise IdentityError("the TPM's key does not open this device's key: enrol again") from e

    def _wrapping(self) -> AESGCM:
        if self._key is None:
            if not (self._tpm.folder / f"{WRAPPING}.priv").exists():
                self._tpm.seal(WRAPPING, AESGCM.generate_key(256), self._registers)
            self._key = AESGCM(self._tpm.unseal(WRAPPING, self._registers))
        return self._key


def at_rest(spec: IdentitySpec) -> AtRest:
    """Return how the site file wants keys kept."""
    tpm = tpm_of(spec)
    return PlainFile() if tpm is None else TpmWrapped(tpm, tuple(spec.seal_pcrs))


def tpm_of(spec: IdentitySpec) -> Tpm | None:
    """Return the TPM that the site file names, or None. Raises ``IdentityError``."""
    if spec.key == "file" or spec.folder is None:
        return None
    folder = Path(spec.folder) / "tpm"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as e:
        raise IdentityError(f"{folder}: {e.strerror or e}") from e
    return Tpm(folder, spec.tpm)


@dataclass(frozen=True, slots=True)
class Request:
    """A new key, and what asks for its certificate; both PEM."""

    key: bytes
    csr: str


def new_request(name: str) -> Request:
    """Make a key on P-256 and a request for ``SITE/DEVICE``."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    csr = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Request(pem, csr.decode())
