"""What people do at a terminal: the ceremony, tokens, revocation, looking at what there is."""

from __future__ import annotations

import argparse
import getpass
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import Engine

from shopfloor_contracts.enrolment import TokenRequest
from shopfloor_contracts.problems import describe
from shopfloor_identity.adapters.lists import ListDesk
from shopfloor_identity.adapters.office import Office
from shopfloor_identity.adapters.tables import AUDIT, TOKENS
from shopfloor_identity.ca.authority import hold_ceremony, read_root, root_list, withdrawn
from shopfloor_identity.ca.keys import read_certificate, write_file
from shopfloor_identity.ca.lists import Revoked
from shopfloor_identity.errors import OperatorError, SettingsError
from shopfloor_kit.audit import Broken, verify
from shopfloor_kit.database import reading
from shopfloor_kit.tokens import Caller, Role, issue

PASSPHRASE_MIN = 12


def ceremony(parsed: argparse.Namespace) -> int:
    """Make the root and its intermediate."""
    passphrase = _passphrase(parsed.passphrase_file)
    hold_ceremony(parsed.root, parsed.online, name=parsed.name, passphrase=passphrase, now=_now())
    print(f"root: {parsed.root} — take it off this machine, and keep two copies")
    print(f"online: {parsed.online} — the service's 'authority'")
    if passphrase is None:
        print("root.key has no passphrase: --passphrase-file gives it one")
    return 0


def renew_root_list(parsed: argparse.Namespace, online: Path) -> None:
    """Make the root's list again, with the intermediates that are no longer believed."""
    now = _now()
    root = read_root(parsed.root, _passphrase(parsed.passphrase_file))
    entries = {entry.serial: entry for entry in withdrawn(online)}
    for path in parsed.withdraw:
        certificate = read_certificate(path)
        if certificate.issuer != root.certificate.subject:
            raise OperatorError(f"{path}: was not issued by this root")
        entries.setdefault(certificate.serial_number, Revoked(certificate.serial_number, now))
    made = root_list(root, list(entries.values()), now)
    write_file(online / "root.crl", made, mode=0o644)
    print(f"{online / 'root.crl'}: {len(entries)} withdrawn")


def token(parsed: argparse.Namespace, office: Office) -> int:
    """Make a one-time token, printed once."""
    site, _, device = parsed.device.partition("/")
    try:
        wanted = TokenRequest(
            site=site, device=device, serial=parsed.serial, minutes=parsed.minutes,
            hosts=parsed.host,
        )  # fmt: skip
    except ValidationError as e:
        raise SettingsError("token: " + "; ".join(describe(e, TokenRequest))) from e
    made = office.invite(wanted, _who())
    if parsed.json:
        print(made.model_dump_json())
    else:
        print(made.token)
    return 0


def operator(parsed: argparse.Namespace, engine: Engine) -> int:
    """Make a bearer token for a person or a program, printed once."""
    with engine.begin() as connection:
        print(issue(connection, TOKENS, Caller(parsed.name, Role(parsed.role)), at=_now()))
    return 0


def issue_service(parsed: argparse.Namespace, office: Office) -> int:
    """Make key and certificate of a service."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,62}", parsed.name):
        raise SettingsError(f"issue: {parsed.name!r} is no name of a service")
    is_client = parsed.client or not parsed.host
    parsed.out.mkdir(mode=0o755, parents=True, exist_ok=True)
    key, chain = office.service(parsed.name, parsed.host, is_client=is_client, by=_who())
    write_file(parsed.out / f"{parsed.name}.key", key)
    write_file(parsed.out / f"{parsed.name}.crt", chain, mode=0o644)
    print(parsed.out / f"{parsed.name}.crt")
    return 0


def revoke(parsed: argparse.Namespace, office: Office) -> int:
    """Revoke one certificate, or all of a name."""
    if not parsed.reason.isprintable():
        raise SettingsError("revoke: --reason is no printable line")
    serials = office.revoke(parsed.which, parsed.reason, _who())
    print(f"{len(serials)} revoked" + "".join(f"\n{serial}" for serial in serials))
    return 0


def show(parsed: argparse.Namespace, office: Office) -> int:
    """List certificates, the newest first."""
    now = _now()
    for held in office.certificates(parsed.name):
        state = "revoked" if held.revoked_at else "ended" if now >= held.not_after else "good"
        if parsed.json:
            body = {"serial": held.serial, "name": held.name, "how": held.how, "state": state}
            body |= {"not_after": held.not_after.isoformat(), "reason": held.reason or ""}
            print(json.dumps(body))
        else:
            ends = f"{held.not_after:%Y-%m-%d}"
            why = f"  {held.reason}" if held.reason else ""
            print(f"{held.name:<40} {state:<8} until {ends}  {held.serial}{why}")
    return 0


def lists(parsed: argparse.Namespace, desk: ListDesk) -> int:
    """Write the lists now."""
    count = desk.publish(revoked=bool(parsed.withdraw), life=timedelta(days=parsed.days))
    print(f"{count} certificates are on the list")
    return 0


def audit(engine: Engine) -> int:
    """Check the chain of the audit log; 1 where it is broken."""
    with reading(engine).connect() as connection:
        found = verify(connection, AUDIT)
    if isinstance(found, Broken):
        print(f"broken at entry {found.number}: {found.reason}")
        return 1
    print(f"{found.count} entries, head {found.head}")
    return 0


def _passphrase(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        passphrase = file.read_bytes().strip()
    except OSError as e:
        raise SettingsError(f"{file}: {e.strerror}") from e
    if len(passphrase) < PASSPHRASE_MIN:
        raise SettingsError(
            f"{file}: passphrase has {len(passphrase)} bytes, expected {PASSPHRASE_MIN} or more"
        )
    return passphrase


def _who() -> str:
    return f"{getpass.getuser()} at a terminal"


def _now() -> datetime:
    return datetime.now(UTC)
