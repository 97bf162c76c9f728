"""The sites' secrets: files in a folder, sealed to one device's key before they leave (RFC 9180).

``SITE/NAME`` is every device's of a site, ``SITE/DEVICE/NAME`` one device's and goes first.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from shopfloor_contracts.enrolment import SECRET_INFO
from shopfloor_identity.errors import RefusedError, StoreUnavailableError

MAX_BYTES, MAX_FILES = 64 * 1024, 100

_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


class Vault:
    """Seals what lies in ``folder``; without one there are no secrets."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def sealed_for(self, name: str, sealing_key: str) -> dict[str, str]:
        """Return file name → base64 of the sealed content.

        Raises:
            RefusedError: the key is no X25519 key.
            StoreUnavailableError: a file cannot be read.
        """
        try:
            key = X25519PublicKey.from_public_bytes(b64decode(sealing_key))
            return {
                file: b64encode(_SUITE.encrypt(content, key, SECRET_INFO + file.encode())).decode()
                for file, content in self._read(name).items()
            }
        except ValueError as e:
            detail = f"the sealing key of {name} is no X25519 public key"
            raise RefusedError("no-sealing-key", detail, status=409, subject=name) from e

    def _read(self, name: str) -> dict[str, bytes]:
        if self._folder is None:
            return {}
        site, _, device = name.partition("/")
        found: dict[str, bytes] = {}
        try:
            for folder in (self._folder / site, self._folder / site / device):
                files = sorted(folder.iterdir()) if folder.is_dir() else []
                found |= {path.name: path.read_bytes() for path in files if path.is_file()}
        except OSError as e:
            raise StoreUnavailableError(f"{self._folder}: {e.strerror or e}") from e
        large = [file for file, content in found.items() if len(content) > MAX_BYTES]
        if large or len(found) > MAX_FILES:
            raise StoreUnavailableError(
                f"{self._folder}: {name} has {len(found)} secrets, expected {MAX_FILES} files "
                f"of {MAX_BYTES} bytes at most"
            )
        return found
