"""Where certificates are asked for: enrolment, renewal, revocation, secrets.

Each request is one transaction with its line in the audit log; a refusal is a line of its own.
"""

from __future__ import annotations

import base64
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from shopfloor_contracts.enrolment import (
    EnrolRequest,
    Issued,
    Nonce,
    RenewRequest,
    Secrets,
    SecretsRequest,
    TokenIssued,
    TokenRequest,
    device_name,
    is_device_name,
)
from shopfloor_identity.adapters.book import Book, Held
from shopfloor_identity.adapters.lists import ListDesk
from shopfloor_identity.adapters.metrics import IdentityMeter
from shopfloor_identity.adapters.secrets import Vault
from shopfloor_identity.adapters.tables import AUDIT
from shopfloor_identity.ca.authority import Online
from shopfloor_identity.ca.certificates import Leaf
from shopfloor_identity.ca.requests import read_request
from shopfloor_identity.domain.clocks import check_clock
from shopfloor_identity.domain.invitations import Invitation, check, new_token, parse_token
from shopfloor_identity.domain.quotes import Policy, check_quote
from shopfloor_identity.errors import (
    IdentityError,
    RefusedError,
    StoreUnavailableError,
    UnknownError,
)
from shopfloor_kit.audit import Scalar, append
from shopfloor_kit.database import cause, reading
from shopfloor_kit.instants import to_ms
from shopfloor_kit.peers import Peer

log = logging.getLogger(__name__)

NONCE_LIFE = timedelta(minutes=2)
RENEWALS_A_DAY = 10
"""Of one device; one that comes more often loops."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator has set."""

    device_life: timedelta
    policies: Mapping[str, Policy]
    """By site; a site that is not there wants no quote."""


class Office:
    """Everything that the HTTP side and the commands ask for."""

    def __init__(  # noqa: PLR0913 — one adapter each
        self,
        engine: Engine,
        online: Online,
        *,
        lists: ListDesk,
        vault: Vault,
        terms: Terms,
        meter: IdentityMeter,
        now: Callable[[], datetime],
    ) -> None:
        self._engine, self._online, self._lists = engine, online, lists
        self._vault, self._terms, self._meter, self._now = vault, terms, meter, now

    def invite(self, wanted: TokenRequest, by: str) -> TokenIssued:
        """Make a one-time token for a device."""
        now, name = self._now(), device_name(wanted.site, wanted.device)
        identity, digest, token = new_token()
        ends = now + timedelta(minutes=wanted.minutes)
        invitation = Invitation(
            identity, name, wanted.serial, digest, tuple(wanted.hosts), ends, None, 0
        )
        with self._engine.begin() as connection:
            Book(connection).invite(invitation, by=by, at=now)
            detail: dict[str, Scalar] = {"token": identity, "serial": wanted.serial}
            detail |= {"minutes": wanted.minutes, "hosts": " ".join(wanted.hosts)}
            self._log(connection, by, "invite", name, detail)
        return TokenIssued(name=name, token=token, expires_at=ends)

    def enrol(self, asked: EnrolRequest, client: str) -> Issued:
        """Give a device its first certificate; what it had before is revoked.

        Raises:
            RefusedError: the token, the clock or the request is not as it should be.
        """
        now = self._now()
        try:
            with self._engine.begin() as connection:
                issued, replaced = self._enrol(connection, asked, client, now)
        except RefusedError as e:
            raise self._refused(e, "enrol", client, token=asked.token) from e
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e
        self._meter.issued("enrol")
        if replaced:
            try:
                self._lists.publish(revoked=True)
            except (IdentityError, SQLAlchemyError) as e:
                # The token is used up, so the device gets its certificate; the list is tried again.
                log.error("list of revoked certificates not made", extra={"reason": str(e)})  # noqa: TRY400
        return issued

    def renew(self, asked: RenewRequest, peer: Peer) -> Issued:
        """Give a device the next certificate; the one it comes with stays good until its end.

        Raises:
            RefusedError: the peer is no device of ours, or the request is not as it should be.
        """
        now = self._now()
        try:
            with self._engine.begin() as connection:
                book = Book(connection)
                known = self._check_peer(book, peer)
                check_clock(asked.at, now, peer.name)
                if book.issued_since(peer.name, now - timedelta(days=1)) > RENEWALS_A_DAY:
                    detail = f"{peer.name} was given {RENEWALS_A_DAY} certificates in a day"
                    raise RefusedError("too-many", detail, status=429, subject=peer.name)
                hosts = tuple(self._hosts(book, peer.name))
                issued = self._sign(book, asked.csr, peer.name, hosts, how="renew")
                detail_of: dict[str, Scalar] = {"with": known.serial, "serial": _serial(issued)}
                self._log(connection, peer.name, "renew", peer.name, detail_of)
        except RefusedError as e:
            raise self._refused(e, "renew", peer.name) from e
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e
        self._meter.issued("renew")
        return issued

    def revoke(self, which: str, reason: str, by: str) -> list[str]:
        """Revoke one certificate by serial, or all of a name that have not ended.

        Raises:
            UnknownError: there is none.
        """
        now = self._now()
        with self._engine.begin() as connection:
            book = Book(connection)
            found = self._find(book, which)
            serials = [
                one.serial for one in found if one.revoked_at is None and one.not_after > now
            ]
            book.revoke(serials, reason, now)
            for serial in serials:
                detail: dict[str, Scalar] = {"serial": serial, "reason": reason}
                self._log(connection, by, "revoke", found[0].name, detail)
        self._meter.revoked(len(serials))
        # Also when nothing is new: whoever asks again wants the broker told again.
        self._lists.publish(revoked=True)
        return serials

    def service(
        self, name: str, hosts: list[str], *, is_client: bool, by: str
    ) -> tuple[bytes, bytes]:
        """Make key and certificate of a service of ours; returns both as PEM.

        Raises:
            RefusedError: it is a device's name, and devices make their keys themselves.
        """
        if is_device_name(name):
            raise RefusedError("name-of-device", f"{name!r} is a device's name, which enrols")
        now = self._now()
        key, chain = self._online.service(name, hosts, is_client=is_client, now=now)
        with self._engine.begin() as connection:
            certificate = x509.load_pem_x509_certificate(chain)
            Book(connection).add(certificate, name=name, how="service", at=now)
            detail: dict[str, Scalar] = {"serial": f"{certificate.serial_number:x}"}
            detail["hosts"] = " ".join(hosts)
            self._log(connection, by, "issue", name, detail)
        return key, chain

    def certificates(self, name: str | None = None) -> list[Held]:
        """Return what was issued, the newest first."""
        with reading(self._engine).connect() as connection:
            return Book(connection).certificates(name)

    def nonce(self, peer: Peer) -> Nonce:
        """Return a nonce for a quote. Raises ``RefusedError``."""
        value = base64.b64encode(secrets.token_bytes(24)).decode()
        with self._engine.begin() as connection:
            book = Book(connection)
            self._check_peer(book, peer)
            ends = book.add_nonce(value, peer.name, now=self._now(), life=NONCE_LIFE)
        return Nonce(nonce=value, expires_at=ends)

    def secrets(self, asked: SecretsRequest, peer: Peer) -> Secrets:
        """Hand out the site's secrets, sealed to the device's key.

        Raises:
            RefusedError: the site wants a quote and this is none, or the device has no key.
        """
        try:
            # The nonce is used up by a quote that is refused as well.
            with self._engine.begin() as connection:
                fresh = self._uses_nonce(connection, asked, peer)
            with self._engine.begin() as connection:
                sealed = self._seal(connection, asked, peer, fresh=fresh)
        except RefusedError as e:
            raise self._refused(e, "secrets", peer.name) from e
        return Secrets(sealed=sealed)

    def _enrol(
        self, connection: Connection, asked: EnrolRequest, client: str, now: datetime
    ) -> tuple[Issued, int]:
        book = Book(connection)
        identity, secret = parse_token(asked.token)
        invitation = check(book.invitation(identity), secret, asked.serial, now)
        name = invitation.name
        check_clock(asked.at, now, name)
        before = [one.serial for one in book.certificates(name) if one.revoked_at is None]
        issued = self._sign(book, asked.csr, name, invitation.hosts, how="enrol")
        # Last of all checks: of two that come at once, one changes the row.
        if not book.use(identity, now):
            raise RefusedError("token-used", f"the token of {name} is used", subject=name)
        book.revoke(before, "enrolled again", now)
        values = {"name": name, "serial": asked.serial, "hosts": " ".join(invitation.hosts)}
        keys = {"sealing_key": asked.sealing_key, "attestation_key": asked.attestation_key}
        book.put_device({**values, **keys, "enrolled_at": to_ms(now)})
        detail: dict[str, Scalar] = {"token": identity, "serial": _serial(issued)}
        detail |= {"machine": asked.serial, "replaced": len(before), "from": client}
        self._log(connection, name, "enrol", name, detail)
        return issued, len(before)

    def _sign(self, book: Book, csr: str, name: str, hosts: tuple[str, ...], *, how: str) -> Issued:
        public, now = read_request(csr, name), self._now()
        leaf = Leaf(name, self._terms.device_life, hosts=hosts)
        pem = self._online.leaf(leaf, public, now)
        certificate = x509.load_pem_x509_certificate(pem)
        book.add(certificate, name=name, how=how, at=now)
        ends = certificate.not_valid_after_utc
        return Issued(
            name=name,
            certificate=pem.decode(),
            chain=self._online.chain.decode(),
            authority=self._online.root.decode(),
            not_after=ends,
            renew_at=now + (ends - now) * 2 / 3,
        )

    def _check_peer(self, book: Book, peer: Peer) -> Held:
        held = book.certificate(f"{peer.serial:x}")
        if held is None or held.name != peer.name or not is_device_name(peer.name):
            detail = f"the certificate {peer.serial:x} of {peer.name!r} is no device's of ours"
            raise RefusedError("peer-unknown", detail, subject=peer.name)
        if held.revoked_at is not None:
            detail = f"the certificate {held.serial} of {held.name} is revoked: {held.reason}"
            raise RefusedError("peer-revoked", detail, subject=held.name)
        if self._now() >= held.not_after:
            detail = f"the certificate {held.serial} of {held.name} has ended"
            raise RefusedError("peer-expired", detail, subject=held.name)
        return held

    def _seal(
        self, connection: Connection, asked: SecretsRequest, peer: Peer, *, fresh: bool
    ) -> dict[str, str]:
        book, name = Book(connection), peer.name
        self._check_peer(book, peer)
        device = book.device(name)
        if device is None or device.sealing_key is None:
            detail = f"{name} has told no key to seal its secrets to; enrol it again"
            raise RefusedError("no-sealing-key", detail, status=409, subject=name)
        policy = self._terms.policies.get(name.partition("/")[0], Policy())
        if policy.required:
            if asked.quote is None or device.attestation_key is None:
                detail = f"the site of {name} hands secrets out for a quote of the TPM only"
                raise RefusedError("quote-wanted", detail, subject=name)
            if not fresh:
                detail = f"the nonce of {name} is unknown, used or too old"
                raise RefusedError("nonce-refused", detail, subject=name)
            check_quote(asked.quote, device.attestation_key, policy, name)
        sealed = self._vault.sealed_for(name, device.sealing_key)
        detail_of: dict[str, Scalar] = {"count": len(sealed), "attested": policy.required}
        self._log(connection, name, "secrets", name, detail_of)
        return sealed

    def _uses_nonce(self, connection: Connection, asked: SecretsRequest, peer: Peer) -> bool:
        quote = asked.quote
        return quote is not None and Book(connection).use_nonce(quote.nonce, peer.name, self._now())

    @staticmethod
    def _hosts(book: Book, name: str) -> list[str]:
        device = book.device(name)
        return [] if device is None else str(device.hosts).split()

    @staticmethod
    def _find(book: Book, which: str) -> list[Held]:
        if "/" in which or not all(c in "0123456789abcdef" for c in which):
            found = book.certificates(which)
        else:
            one = book.certificate(which)
            found = [one] if one else book.certificates(which)
        if not found:
            raise UnknownError(f"no certificate has the name or serial {which!r}")
        return found

    def _refused(
        self, error: RefusedError, action: str, actor: str, *, token: str = ""
    ) -> RefusedError:
        """Write a refusal down; returns the error."""
        self._meter.refused(action, error.slug)
        if error.subject:
            with self._engine.begin() as connection:
                if token and error.slug == "token-other-serial":
                    Book(connection).count_failure(parse_token(token)[0])
                detail: dict[str, Scalar] = {"reason": error.slug, "said": str(error)[:500]}
                self._log(connection, actor, f"refuse {action}", error.subject[:200], detail)
        return error

    def _log(
        self, connection: Connection, actor: str, action: str, subject: str,
        detail: Mapping[str, Scalar],
    ) -> None:  # fmt: skip
        append(
            connection,
            AUDIT,
            actor=actor[:200] or "unknown",
            action=action,
            subject=subject,
            detail=detail,
            at=self._now(),
        )


def _serial(issued: Issued) -> str:
    return f"{x509.load_pem_x509_certificate(issued.certificate.encode()).serial_number:x}"
