"""A person's Ed25519 key: made, kept encrypted, and used to sign promotions."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from shopfloor_ctl.errors import MistakeError

PREFIX = b"shopfloor promotion v1\n"
"""Before the record in what is signed, as the registry checks it."""


def make_key(file: Path, passphrase: bytes) -> str:
    """Write a new key, encrypted, and its public half beside it; return that in hexadecimal.

    Raises:
        MistakeError: there is such a file, or it cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    encryption = BestAvailableEncryption(passphrase)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        for path, content, mode in ((file, secret, 0o600), (_public(file), public, 0o644)):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
    except OSError as e:
        raise MistakeError(f"{e.filename}: {e.strerror}") from e
    return key.public_key().public_bytes_raw().hex()


def load_key(file: Path, passphrase: bytes) -> Ed25519PrivateKey:
    """Return the key of ``file``.

    Raises:
        MistakeError: it cannot be read, the passphrase is wrong, or it is another kind of key.
    """
    try:
        key = load_pem_private_key(file.read_bytes(), passphrase)
    except OSError as e:
        raise MistakeError(f"{file}: {e.strerror}") from e
    except (ValueError, TypeError) as e:
        raise MistakeError(f"{file}: no key, or another passphrase") from e
    if not isinstance(key, Ed25519PrivateKey):
        raise MistakeError(f"{file}: another kind of key, expected Ed25519")
    return key


def sign_record(key: Ed25519PrivateKey, record: str) -> tuple[str, str]:
    """Return public key and signature, both in hexadecimal."""
    public = key.public_key().public_bytes_raw().hex()
    return public, key.sign(PREFIX + record.encode()).hex()


def _public(file: Path) -> Path:
    return file.with_name(file.name + ".pub")
