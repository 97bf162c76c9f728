"""Ed25519 signatures of promotions (RFC 8032)."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from shopfloor_registry.domain.promotions import PREFIX
from shopfloor_registry.errors import RejectedError


def is_right(public_key: str, signature: str, record: str) -> bool:
    """Say whether ``signature`` (hexadecimal) is that of ``record`` by ``public_key``."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), PREFIX + record.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def read_public_key(file: Path) -> str:
    """Return the raw key of a PEM file, in hexadecimal.

    Raises:
        RejectedError: it cannot be read, or holds another kind of key.
    """
    try:
        key = load_pem_public_key(file.read_bytes())
    except (OSError, ValueError) as e:
        raise RejectedError(f"{file}: no public key in PEM: {e}") from e
    if not isinstance(key, Ed25519PublicKey):
        raise RejectedError(f"{file}: a {type(key).__name__}, expected Ed25519")
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
