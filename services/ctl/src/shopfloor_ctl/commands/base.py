"""What commands share: the client, the screen, and how a key and its passphrase are found."""

from __future__ import annotations

import argparse
import getpass
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shopfloor_ctl.client import Client
from shopfloor_ctl.errors import MistakeError
from shopfloor_ctl.keys import load_key
from shopfloor_ctl.profile import read_profile
from shopfloor_ctl.screen import Screen


@dataclass(frozen=True, slots=True)
class Context:
    """What every command is given."""

    profile: Path
    screen: Screen
    as_json: bool
    opened: ExitStack = field(default_factory=ExitStack)
    """Clients, to be closed at the end."""

    def client(self, service: str) -> Client:
        """Return a client of ``service`` as the profile says."""
        client = Client(read_profile(self.profile).service(service))
        self.opened.callback(client.close)
        return client


def add_key_flags(parser: argparse.ArgumentParser) -> None:
    """Declare ``--key`` and ``--passphrase-file``."""
    parser.add_argument("--key", type=Path, required=True, help="your key, as of key make")
    add_passphrase_flag(parser)


def add_passphrase_flag(parser: argparse.ArgumentParser) -> None:
    """Declare ``--passphrase-file``."""
    parser.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="instead of being asked for it"
    )


def read_key(parsed: argparse.Namespace) -> Ed25519PrivateKey:
    """Return the key that the flags name."""
    return load_key(parsed.key, read_passphrase(parsed.passphrase_file))


def read_lines(file: Path) -> list[str]:
    """Return the lines of a file that are not empty.

    Raises:
        MistakeError: it cannot be read.
    """
    try:
        return [line for line in file.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as e:
        raise MistakeError(f"{file}: {e}") from e


def read_passphrase(file: Path | None) -> bytes:
    """Return the passphrase of a file, or ask for it.

    Raises:
        MistakeError: it is empty, or there is nobody to ask.
    """
    if file is not None:
        try:
            found = file.read_text().rstrip("\n")
        except (OSError, UnicodeDecodeError) as e:
            raise MistakeError(f"{file}: {e}") from e
    elif sys.stdin.isatty():
        found = getpass.getpass("passphrase of the key: ")
    else:
        raise MistakeError("no terminal to ask for the passphrase: give --passphrase-file")
    if not found:
        raise MistakeError("the passphrase is empty")
    return found.encode()
