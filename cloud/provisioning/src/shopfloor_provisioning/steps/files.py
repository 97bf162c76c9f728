"""Files that are written whole: the site file, units, the root of trust, secrets."""

from __future__ import annotations

import difflib
import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from shopfloor_provisioning.machine import Machine
from shopfloor_provisioning.steps.ports import Change


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file as it should be."""

    path: PurePosixPath
    content: bytes
    mode: str = "640"
    secret: bool = False
    """Its content is in no plan, and no digest of it either: a PIN is guessed from one."""

    def __repr__(self) -> str:
        return f"WantedFile({str(self.path)!r})"


@dataclass(frozen=True, slots=True)
class Files:
    """Some files, each replaced as a whole where its content, owner or mode differs."""

    name: str
    files: tuple[WantedFile, ...]
    owner: str | None
    """``root:shopfloor``; None leaves it to the caller's account."""

    def look(self, machine: Machine) -> list[Change]:
        """Compare digests, and show the difference of texts that are no secrets."""
        found = _facts(machine, [file.path for file in self.files])
        changes = []
        for file, fact in zip(self.files, found, strict=True):
            digest, owner, mode = fact
            if digest != hashlib.sha256(file.content).hexdigest():
                changes.append(self._difference(machine, file, exists=bool(digest)))
            elif mode != file.mode or (self.owner is not None and owner != self.owner):
                changes.append(Change(f"set rights of {file.path}"))
        return changes

    def do(self, machine: Machine) -> None:
        """Write those that differ."""
        found = _facts(machine, [file.path for file in self.files])
        for file, (digest, owner, mode) in zip(self.files, found, strict=True):
            same = digest == hashlib.sha256(file.content).hexdigest() and mode == file.mode
            if not same or (self.owner is not None and owner != self.owner):
                machine.put(file.path, file.content, mode=file.mode, owner=self.owner)

    def _difference(self, machine: Machine, file: WantedFile, *, exists: bool) -> Change:
        what = f"{'change' if exists else 'write'} {file.path}"
        if file.secret or not (exists or file.path.suffix == ".toml"):
            return Change(what)
        old = (machine.read(file.path) or b"").decode(errors="replace") if exists else ""
        lines = difflib.unified_diff(
            old.splitlines(), file.content.decode().splitlines(), "now", "wanted", lineterm="", n=1
        )
        return Change(what, tuple(lines))


def _facts(machine: Machine, paths: Sequence[PurePosixPath]) -> list[tuple[str, str, str]]:
    """Return digest, ``owner:group`` and mode of each file, empty texts where there is none."""
    if not paths:
        return []
    names = " ".join(shlex.quote(str(path)) for path in paths)
    script = f"""for f in {names}; do
      if [ -f "$f" ]; then
        d=$(sha256sum "$f"); echo "${{d%% *}}|$(stat -c '%U:%G|%a' "$f")"
      else echo '||'; fi
    done"""
    lines = machine.must(script, "files").splitlines()
    return [(d, o, m) for d, o, m in (line.split("|") for line in lines)]
