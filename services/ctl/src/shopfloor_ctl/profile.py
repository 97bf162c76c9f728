"""Where the services are and who we are: one file that only its owner can read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from shopfloor_ctl.errors import MistakeError

DEFAULT = Path("~/.config/shopfloor/ctl.json")


@dataclass(frozen=True, slots=True)
class Service:
    """One service's URL and our token there."""

    url: str
    token: str


@dataclass(frozen=True, slots=True)
class Profile:
    """Services by name: ``registry`` and ``campaigns``."""

    services: dict[str, Service]

    def service(self, name: str) -> Service:
        """Return a service, or raise MistakeError naming the command that sets it."""
        if name not in self.services:
            raise MistakeError(f"no {name} is set: shopfloorctl login {name} URL")
        return self.services[name]


def read_profile(file: Path) -> Profile:
    """Return what ``write_profile`` wrote; an absent file is an empty profile.

    Raises:
        MistakeError: others can read it, or it is no profile.
    """
    try:
        if file.stat().st_mode & 0o077:
            raise MistakeError(f"{file}: others can read it; chmod 600 {file}")
        found = json.loads(file.read_text())
        return Profile({name: Service(**said) for name, said in found.items()})
    except FileNotFoundError:
        return Profile({})
    except (OSError, ValueError, TypeError, AttributeError) as e:
        raise MistakeError(f"{file}: no profile of shopfloorctl: {e}") from e


def write_profile(file: Path, profile: Profile) -> None:
    """Write with mode 0600 from its first byte on.

    Raises:
        MistakeError: it cannot be written.
    """
    text = json.dumps({name: asdict(one) for name, one in profile.services.items()}, indent=2)
    part = file.with_name(file.name + ".tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(text + "\n")
        part.replace(file)
    except OSError as e:
        raise MistakeError(f"{file}: {e.strerror or e}") from e
