"""Signing keys: Ed25519, one file each, mode 0600, offline ones encrypted with a passphrase."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner

from shopfloor_registry.trust.durable import PRIVATE, write_whole
from shopfloor_registry.trust.errors import KeyFileError

MIN_PASSPHRASE_BYTES = 12
"""An encrypted key file that is stolen can be guessed at offline."""
SHOWN = 16
MAX_KEY_FILE_BYTES = 16 * 1024

Passphrase = Callable[[str], bytes]
"""Told a key's file name, gives its passphrase."""


def make_key(folder: Path, role: str, passphrase: Passphrase | None) -> CryptoSigner:
    """Make a key and write it to ``folder/ROLE-KEYID.pem``; without a passphrase in the clear.

    Raises:
        KeyFileError: the passphrase is too short, or the file exists.
        RepositoryError: the file cannot be written.
    """
    private = Ed25519PrivateKey.generate()
    signer = CryptoSigner(private)
    path = folder / f"{role}-{fingerprint(signer)}.pem"
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        secret = passphrase(path.name)
        if len(secret) < MIN_PASSPHRASE_BYTES:
            raise KeyFileError(
                f"{path.name}: the passphrase has {len(secret)} bytes, expected at least "
                f"{MIN_PASSPHRASE_BYTES}"
            )
        encryption = BestAvailableEncryption(secret)
    content = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    write_whole(path, content, mode=PRIVATE)
    return signer


def load_keys(folder: Path, role: str, passphrase: Passphrase | None) -> list[CryptoSigner]:
    """Read every key of ``role`` in ``folder``, in the order of their names.

    Raises:
        KeyFileError: there is none, one is readable by others, is no Ed25519 key, or has another
            passphrase.
    """
    paths = sorted(folder.glob(f"{role}-*.pem"))
    if not paths:
        raise KeyFileError(f"{folder}: no key of {role} ({role}-*.pem)")
    return [_load(path, passphrase) for path in paths]


def fingerprint(signer: CryptoSigner) -> str:
    """Return the first digits of the key id, enough to tell keys apart by eye."""
    return signer.public_key.keyid[:SHOWN]


def _load(path: Path, passphrase: Passphrase | None) -> CryptoSigner:
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise KeyFileError(f"{path} has mode {mode:04o}, expected 0600: others can read it")
        with path.open("rb") as file:
            content = file.read(MAX_KEY_FILE_BYTES)
        encrypted = b"ENCRYPTED" in content
        if encrypted and passphrase is None:
            raise KeyFileError(f"{path} is encrypted, expected a key without passphrase")
        secret = passphrase(path.name) if encrypted and passphrase else None
        private = load_pem_private_key(content, secret)
    except OSError as e:
        raise KeyFileError(f"{path}: {e.strerror or e}") from e
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise KeyFileError(f"{path}: wrong passphrase, or no key in PEM form") from e
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileError(f"{path} holds a {type(private).__name__}, expected an Ed25519 key")
    return CryptoSigner(private)
