"""An authority in one folder with its root's key beside it: one machine, demonstrations and tests.

Its certificates are kept while they are good and made again before they end. A fleet holds a
ceremony and lets the service issue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from shopfloor_identity.ca.authority import Online, hold_ceremony
from shopfloor_identity.ca.certificates import common_name
from shopfloor_identity.ca.keys import read_certificate, write_file
from shopfloor_identity.ca.lists import ROOT_LIST_LIFE, make_list
from shopfloor_identity.errors import AuthorityError

_BEGIN = b"-----BEGIN X509 CRL-----"
RENEW_BEFORE = timedelta(days=30)
"""A certificate that ends sooner is made again."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its chain, and its key, as PEM files."""

    certificate: Path
    key: Path


class LocalAuthority:
    """Issues certificates into ``folder``; the authority itself lies in two folders below it."""

    def __init__(self, folder: Path, *, name: str, now: datetime | None = None) -> None:
        """Open the authority, or make it.

        Raises:
            AuthorityError: what is there is no authority.
        """
        self._folder, self._now = folder, now or datetime.now(UTC)
        self.online = folder / "online"
        if not (self.online / "intermediate.key").exists():
            hold_ceremony(folder / "root", self.online, name=name, passphrase=None, now=self._now)
        self._own = Online.read(self.online)
        self.certificate = folder / "ca.crt"
        self.lists = folder / "ca.crl"
        """Of root and intermediate, for the broker; the service writes it from its start on."""
        if not self.certificate.exists() or self.certificate.read_bytes() != self._own.root:
            write_file(self.certificate, self._own.root)
        if not self._lists_are_good():
            empty = make_list(self._own.signer, (), number=0, now=self._now, life=ROOT_LIST_LIFE)
            write_file(self.lists, self._own.root_list + empty)

    def server(self, name: str, hosts: Sequence[str]) -> Pair:
        """Return the certificate of a server that is reached under ``hosts``."""
        return self._issue(name, name, hosts, is_client=False)

    def client(self, name: str, identity: str) -> Pair:
        """Return the certificate of a client; ``identity`` is its user name at the broker."""
        return self._issue(name, identity, (), is_client=True)

    def _lists_are_good(self) -> bool:
        """Say whether a service keeps the lists, or ours, which are empty, last long enough."""
        try:
            pem = self.lists.read_bytes()
            lists = [x509.load_pem_x509_crl(_BEGIN + part) for part in pem.split(_BEGIN)[1:]]
        except (OSError, ValueError):
            return False
        for one in lists:
            if one.issuer == self._own.signer.certificate.subject:
                number = one.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
                ends = one.next_update_utc or self._now
                return number > 0 or ends - self._now > RENEW_BEFORE
        return False

    def _issue(self, name: str, common: str, hosts: Sequence[str], *, is_client: bool) -> Pair:
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        if self._is_good(pair, common):
            return pair
        key, chain = self._own.service(common, hosts, is_client=is_client, now=self._now)
        # The key first: a certificate whose key is missing would look finished.
        write_file(pair.key, key)
        write_file(pair.certificate, chain)
        return pair

    def _is_good(self, pair: Pair, common: str) -> bool:
        if not (pair.certificate.exists() and pair.key.exists()):
            return False
        try:
            held = read_certificate(pair.certificate)
        except AuthorityError:
            return False
        lasts = held.not_valid_after_utc - self._now > RENEW_BEFORE
        ours = held.issuer == self._own.signer.certificate.subject
        return lasts and ours and common_name(held) == common
