"""The authority's folders: an offline root, and the intermediate that the service signs with.

``root/`` (kept away from every machine that is on a network): ``root.key``, ``root.crt``.
``online/``: ``intermediate.key``, ``intermediate.crt``, ``root.crt``, ``root.crl``, and as
``previous.crl`` the last list of an intermediate before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from shopfloor_identity.ca.certificates import (
    SERVICE_LIFE,
    Leaf,
    Signer,
    make_intermediate,
    make_leaf,
    make_root,
)
from shopfloor_identity.ca.keys import (
    certificate_pem,
    key_pem,
    new_key,
    read_certificate,
    read_key,
    write_file,
)
from shopfloor_identity.ca.lists import ROOT_LIST_LIFE, Revoked, make_list
from shopfloor_identity.errors import AuthorityError


@dataclass(frozen=True, slots=True)
class Online:
    """What the service holds: the intermediate, the root's certificate and the root's list."""

    signer: Signer
    chain: bytes
    """The intermediate's certificate, PEM."""
    root: bytes
    """The root's certificate, PEM."""
    root_list: bytes
    """And a previous intermediate's."""

    @classmethod
    def read(cls, folder: Path) -> Online:
        """Open the folder.

        Raises:
            AuthorityError: something is missing, or key and certificate are no pair.
        """
        certificate = read_certificate(folder / "intermediate.crt")
        key = read_key(folder / "intermediate.key")
        root = read_certificate(folder / "root.crt")
        if certificate.public_key() != key.public_key():
            raise AuthorityError(f"{folder}: intermediate.key is not the certificate's key")
        try:
            certificate.verify_directly_issued_by(root)
            root_list = (folder / "root.crl").read_bytes()
            previous = folder / "previous.crl"
            root_list += previous.read_bytes() if previous.exists() else b""
        except OSError as e:
            raise AuthorityError(f"{folder}: {e.filename}: {e.strerror}") from e
        except (ValueError, TypeError, InvalidSignature) as e:
            raise AuthorityError(f"{folder}: root.crt did not sign intermediate.crt") from e
        return cls(
            Signer(certificate, key), certificate_pem(certificate), certificate_pem(root), root_list
        )

    def service(
        self, name: str, hosts: Sequence[str], *, is_client: bool, now: datetime
    ) -> tuple[bytes, bytes]:
        """Make key and certificate of a service of ours; returns both as PEM, with the chain."""
        key = new_key()
        leaf = Leaf(name, SERVICE_LIFE, is_client=is_client, hosts=tuple(hosts))
        certificate = self.leaf(leaf, key.public_key(), now)
        return key_pem(key), certificate + self.chain

    def leaf(self, leaf: Leaf, public: ec.EllipticCurvePublicKey, now: datetime) -> bytes:
        """Sign a leaf; returns PEM."""
        return certificate_pem(make_leaf(self.signer, leaf, public, now))


def hold_ceremony(
    root_folder: Path, online: Path, *, name: str, passphrase: bytes | None, now: datetime
) -> None:
    """Make a root and its first intermediate; or a new intermediate under the root that is there.

    Raises:
        AuthorityError: ``online`` holds an authority already, or a folder cannot be used.
    """
    if (online / "intermediate.key").exists():
        raise AuthorityError(f"{online}: holds an authority; move it away to make another")
    for folder in (root_folder, online):
        _make_folder(folder)
    if not (root_folder / "root.crt").exists():
        key = new_key()
        certificate = make_root(key, f"{name} root", now)
        # The key first: a certificate whose key is missing would look finished.
        write_file(root_folder / "root.key", key_pem(key, passphrase))
        write_file(root_folder / "root.crt", certificate_pem(certificate), mode=0o644)
    root = read_root(root_folder, passphrase)
    key = new_key()
    intermediate = make_intermediate(root, key, f"{name} devices {now:%Y-%m}", now)
    write_file(online / "root.crt", certificate_pem(root.certificate), mode=0o644)
    write_file(online / "root.crl", root_list(root, (), now), mode=0o644)
    write_file(online / "intermediate.crt", certificate_pem(intermediate), mode=0o644)
    write_file(online / "intermediate.key", key_pem(key))


def read_root(folder: Path, passphrase: bytes | None) -> Signer:
    """Open the root, which is offline but now. Raises ``AuthorityError``."""
    key = read_key(folder / "root.key", passphrase)
    return Signer(read_certificate(folder / "root.crt"), key)


def withdrawn(online: Path) -> list[Revoked]:
    """Return what the root's list says now. Raises ``AuthorityError``."""
    path = online / "root.crl"
    try:
        found = x509.load_pem_x509_crl(path.read_bytes())
    except (OSError, ValueError) as e:
        raise AuthorityError(f"{path}: no list can be read there: {e}") from e
    return [Revoked(entry.serial_number, entry.revocation_date_utc) for entry in found]


def root_list(root: Signer, revoked: Sequence[Revoked], now: datetime) -> bytes:
    """Make the root's list: intermediates that are no longer to be believed."""
    number = int(now.timestamp())
    return make_list(root, revoked, number=number, now=now, life=ROOT_LIST_LIFE)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as e:
        raise AuthorityError(f"{folder}: {e.strerror}") from e
