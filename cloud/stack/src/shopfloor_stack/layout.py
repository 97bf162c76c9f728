"""Where a stack keeps what, and how its files are made: private, and never half written."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from shopfloor_stack.errors import OperatorError

MARKER = ".shopfloor-cloud"


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders under ``root``."""

    root: Path

    def is_ours(self) -> bool:
        """Say whether a stack was made here."""
        return (self.root / MARKER).exists()

    def make(self) -> None:
        """Create what is missing. Others may pass through, not look: the database is somebody.

        Raises:
            OperatorError: the folder holds other things, which removing the stack would take along.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        if not self.is_ours() and any(self.root.iterdir()):
            raise OperatorError(f"{self.root}: holds other things; SHOPFLOOR_CLOUD wants its own")
        (self.root / MARKER).touch()
        self.root.chmod(0o711)
        for folder in (self.secrets, self.pki, self.config, self.logs):
            folder.mkdir(mode=0o700, exist_ok=True)
        self.data.mkdir(exist_ok=True)
        self.data.chmod(0o711)

    @property
    def secrets(self) -> Path:
        """One password a file."""
        return self.root / "secrets"

    @property
    def pki(self) -> Path:
        """Keys and certificates of our own authority."""
        return self.root / "pki"

    @property
    def config(self) -> Path:
        """What is made from ``cloud/`` at each start."""
        return self.root / "config"

    @property
    def logs(self) -> Path:
        """One file a part."""
        return self.root / "logs"

    @property
    def data(self) -> Path:
        """One folder a part that keeps something."""
        return self.root / "data"

    @property
    def record(self) -> Path:
        """Who was started, and where."""
        return self.root / "stack.json"

    def secret(self, name: str) -> Path:
        """Return the file that holds that password, made now if there is none yet."""
        path = self.secrets / name
        if not path.exists():
            write_private(path, secrets.token_urlsafe(24))
        return path

    def data_of(self, part: str) -> Path:
        """Return the folder that a part keeps its data in."""
        folder = self.data / part
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder


def write_private(path: Path, text: str) -> None:
    """Replace the file by one that only we can read; a reader sees all of it or nothing."""
    half = path.with_name(path.name + ".tmp")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
