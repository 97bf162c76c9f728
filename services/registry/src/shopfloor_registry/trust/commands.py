"""``shopfloor-registry trust …``: what an operator types in the ceremony and after it."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from shopfloor_contracts.targets import TargetCustom
from shopfloor_registry.trust import inspection
from shopfloor_registry.trust.ceremony import (
    Ceremony,
    create,
    replace_online,
    replace_root,
    replace_targets,
)
from shopfloor_registry.trust.durable import write_whole
from shopfloor_registry.trust.errors import RepositoryError, TrustError
from shopfloor_registry.trust.keys import Passphrase, fingerprint, load_keys, make_key
from shopfloor_registry.trust.repository import Repository
from shopfloor_registry.trust.roles import OFFLINE, ONLINE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from shopfloor_registry.trust.signing import changes_of, sign


def add_trust_commands(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    """Add ``trust`` and its commands; each sets ``run``, which takes the arguments parsed."""
    trust = subparsers.add_parser("trust", help="keys and signed metadata of updates")
    commands = trust.add_subparsers(required=True, metavar="COMMAND")
    init = _command(commands, "init", _init, "make keys and an empty repository: the ceremony")
    init.add_argument("--root-keys", type=int, default=3)
    init.add_argument("--root-threshold", type=int, default=2)
    init.add_argument("--targets-keys", type=int, default=1)
    init.add_argument("--targets-threshold", type=int, default=1)
    add = _command(commands, "add-target", _add_target, "stage a file; publishes nothing")
    add.add_argument("path", help="as model/person-nano/1.2.0/onnx-fp32")
    add.add_argument("file", type=Path)
    add.add_argument("--custom", required=True, help="JSON: kind, name, version, hardware, minimum")
    revoke = _command(commands, "revoke-target", _revoke_target, "stage a target's removal")
    revoke.add_argument("path")
    rotate = _command(commands, "rotate", _rotate, "make a new key for a role and stage its root")
    rotate.add_argument("role", choices=(*OFFLINE, *ONLINE))
    rotate.add_argument("--drop", default="", help="which offline key goes: its id's beginning")
    _command(commands, "renew", _renew, "stage what people must sign again soon")
    out = _command(commands, "staged", _staged, "show what waits, and write it to --documents")
    out.add_argument("--documents", type=Path)
    signing = _command(commands, "sign", _sign, "sign documents in place with the offline keys")
    signing.add_argument("documents", type=Path)
    accept = _command(commands, "accept", _accept, "publish signed documents")
    accept.add_argument("documents", type=Path)
    _command(commands, "publish", _publish, "sign a new snapshot and timestamp")
    _command(commands, "refresh", _refresh, "the same, only if due: for a timer")
    _command(commands, "status", _status, "roles, versions, expiries; exit 1 on a warning")
    _command(commands, "verify", _verify, "check every signature and file")


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text)
    parser.add_argument("--repository", type=Path, default=Path("tuf"))
    parser.add_argument("--online", type=Path, default=Path("tuf-online"), help="online keys")
    parser.add_argument("--keys", type=Path, default=Path("tuf-offline"), help="offline keys")
    parser.add_argument("--passphrase-file", type=Path)
    parser.set_defaults(run=lambda arguments: _told(run, arguments))
    return parser


def _told(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    try:
        return run(arguments)
    except TrustError as e:
        raise SystemExit(_refused(str(e))) from e
    except OSError as e:
        raise SystemExit(_refused(f"{e.filename}: {e.strerror}")) from e


def _refused(text: str) -> int:
    print(f"shopfloor-registry: {text}", file=sys.stderr)
    return 2


def _init(arguments: argparse.Namespace) -> int:
    secret = _passphrase(arguments)
    keys, online = arguments.keys, arguments.online
    if (arguments.repository / "metadata").exists():
        raise RepositoryError(f"{arguments.repository}: holds a repository already")
    ceremony = Ceremony(
        root=[make_key(keys, ROOT, secret) for _ in range(arguments.root_keys)],
        root_threshold=arguments.root_threshold,
        targets=[make_key(keys, TARGETS, secret) for _ in range(arguments.targets_keys)],
        targets_threshold=arguments.targets_threshold,
        snapshot=[make_key(online, SNAPSHOT, None)],
        timestamp=[make_key(online, TIMESTAMP, None)],
    )
    create(arguments.repository, ceremony, now=_now())
    for role in (ROOT, TARGETS, SNAPSHOT, TIMESTAMP):
        for key in getattr(ceremony, role):
            print(f"{role:10} {fingerprint(key)}")
    return 0


def _add_target(arguments: argparse.Namespace) -> int:
    try:
        custom = TargetCustom.model_validate_json(arguments.custom)
    except ValidationError as e:
        raise RepositoryError(f"--custom: {e.errors()[0]['msg']}") from e
    repository = Repository(arguments.repository)
    print(repository.stage(arguments.path, arguments.file, custom, now=_now()))
    return 0


def _revoke_target(arguments: argparse.Namespace) -> int:
    print(Repository(arguments.repository).stage_removal(arguments.path, now=_now()))
    return 0


def _rotate(arguments: argparse.Namespace) -> int:
    repository, role = Repository(arguments.repository), arguments.role
    if role in ONLINE:
        key = make_key(arguments.online, role, None)
        replace_online(repository, role, key, now=_now())
        print(f"{role:10} {fingerprint(key)}")
        return 0
    secret = _passphrase(arguments)
    new = make_key(arguments.keys, role, secret)
    replace = replace_root if role == ROOT else replace_targets
    replace(repository, drop=arguments.drop, add=new, now=_now())
    print(f"{role:10} {fingerprint(new)}")
    return 0


def _renew(arguments: argparse.Namespace) -> int:
    print("\n".join(Repository(arguments.repository).stage_renewal(now=_now())) or "nothing is due")
    return 0


def _staged(arguments: argparse.Namespace) -> int:
    for one in Repository(arguments.repository).staged():
        for change in one.changes:
            print(f"{one.role:10} {change}")
        if arguments.documents:
            write_whole(arguments.documents / f"{one.role}.json", one.document)
    return 0


def _sign(arguments: argparse.Namespace) -> int:
    """Sign root documents with the root keys here, the others with the targets keys here."""
    secret = _passphrase(arguments)
    paths = sorted(arguments.documents.glob("*.json"))
    held = {
        role: load_keys(arguments.keys, role, secret)
        for role in OFFLINE
        if any((path.stem == ROOT) == (role == ROOT) for path in paths)
    }
    for path in paths:
        role, content = (ROOT if path.stem == ROOT else TARGETS), path.read_bytes()
        for change in changes_of(content, {}):
            print(f"{path.stem:10} {change}")
        write_whole(path, sign(content, held[role]))
    return 0


def _accept(arguments: argparse.Namespace) -> int:
    paths = sorted(arguments.documents.glob("*.json"))
    repository = Repository(arguments.repository, online=arguments.online)
    accepted = repository.accept([path.read_bytes() for path in paths], now=_now())
    print("\n".join(accepted) or "nothing was given")
    return 0


def _publish(arguments: argparse.Namespace) -> int:
    Repository(arguments.repository, online=arguments.online).publish(now=_now())
    return 0


def _refresh(arguments: argparse.Namespace) -> int:
    repository = Repository(arguments.repository, online=arguments.online)
    print("signed" if repository.refresh(now=_now()) else "not due")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    found = inspection.status(Repository(arguments.repository), now=_now())
    for one in found:
        print(
            f"{one.role:10} version {one.version:<5} until {one.expires_at:%Y-%m-%d %H:%M}  "
            f"{one.threshold} of {', '.join(one.keys)}  {one.warning}".rstrip()
        )
    return int(any(one.warning for one in found))


def _verify(arguments: argparse.Namespace) -> int:
    print(f"{inspection.verify(Repository(arguments.repository), now=_now())} targets verified")
    return 0


def _passphrase(arguments: argparse.Namespace) -> Passphrase:
    """Ask for each key's passphrase, or take the one in ``--passphrase-file``."""
    if arguments.passphrase_file is None:
        return lambda name: getpass.getpass(f"passphrase of {name}: ").encode()
    secret = arguments.passphrase_file.read_bytes().strip()
    return lambda _name: secret


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
