"""Keys and files of the authority: ECDSA P-256, PEM, readable by their owner alone."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shopfloor_identity.errors import AuthorityError

PrivateKey = ec.EllipticCurvePrivateKey


def new_key() -> PrivateKey:
    """Make a key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey, passphrase: bytes | None = None) -> bytes:
    """Return the key as PKCS #8, encrypted where there is a passphrase."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return the certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def read_key(path: Path, passphrase: bytes | None = None) -> PrivateKey:
    """Read a key.

    Raises:
        AuthorityError: there is none on P-256, or the passphrase is wrong.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), passphrase)
    except (OSError, ValueError, TypeError) as e:
        raise AuthorityError(f"{path}: no key can be read there: {e}") from e
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError(f"{path}: is no elliptic-curve key")
    return key


def read_certificate(path: Path) -> x509.Certificate:
    """Read a certificate, the first of the file. Raises ``AuthorityError``."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as e:
        raise AuthorityError(f"{path}: no certificate can be read there: {e}") from e


def write_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a file durably: a reader sees all of it or nothing, and so does a power cut.

    Raises:
        AuthorityError: the disk refuses.
    """
    half = path.with_name(f"{path.name}.tmp")
    try:
        half.unlink(missing_ok=True)
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as e:
        raise AuthorityError(f"{path}: {e.strerror or e}") from e
