"""Secrets and bundles at rest, sealed to this device's key: HPKE, RFC 9180.

X25519, HKDF-SHA256 and AES-256-GCM, in one piece: what is opened is whole and is what was sealed,
or nothing comes out. Opened content stays in memory.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from shopfloor_edge.errors import SealError
from shopfloor_edge.identity.marks import MAGIC, MAX_BYTES, is_sealed

_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals to a device; whoever has its public key can."""

    public: X25519PublicKey

    @classmethod
    def from_raw(cls, raw: bytes) -> Sealer:
        """Return the sealer of a raw public key. Raises ``SealError``."""
        try:
            return cls(X25519PublicKey.from_public_bytes(raw))
        except ValueError as e:
            raise SealError(f"sealing key has {len(raw)} bytes, expected 32") from e

    def seal(self, content: bytes, purpose: str) -> bytes:
        """Return ``content`` sealed; it opens for the same ``purpose`` only."""
        return MAGIC + _SUITE.encrypt(content, self.public, purpose.encode())


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens what was sealed to this device."""

    private: X25519PrivateKey

    @property
    def public(self) -> str:
        """The public key, base64, as the identity service is told it."""
        return b64encode(self.private.public_key().public_bytes_raw()).decode()

    def sealer(self) -> Sealer:
        """Return the other half."""
        return Sealer(self.private.public_key())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Return the content.

        Raises:
            SealError: sealed to another device, for another purpose, or changed.
        """
        if not is_sealed(sealed):
            raise SealError(f"{purpose}: is not sealed")
        return self.open_bare(sealed[len(MAGIC) :], purpose.encode(), purpose)

    def open_bare(self, ciphertext: bytes, info: bytes, what: str) -> bytes:
        """Open what came without our mark. Raises ``SealError``."""
        try:
            return _SUITE.decrypt(ciphertext, self.private, info)
        except (InvalidTag, ValueError) as e:
            raise SealError(
                f"{what}: does not open: sealed to another device or purpose, or changed"
            ) from e

    def read(self, path: Path, purpose: str) -> bytes:
        """Return the content of a sealed file. Raises ``SealError``."""
        try:
            if path.stat().st_size > MAX_BYTES:
                raise SealError(f"{path}: larger than {MAX_BYTES} bytes")
            return self.open(path.read_bytes(), purpose)
        except OSError as e:
            raise SealError(f"{path}: {e.strerror or e}") from e
