"""Engines that were built on this device, each loaded only where it was built for.

An engine is native code for one GPU, one library version and one model; another one crashes or,
worse, does not. The digest in the file is against damage, not against an attacker: who can write
the cache folder can already run what he likes as this user.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

log = logging.getLogger(__name__)

_MAGIC = b"shopfloor-engine-1\n"
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Everything that an engine depends on."""

    model_sha256: str
    library: str
    """Module and version, as ``tensorrt 10.3.0``."""
    gpu: str
    capability: str

    @property
    def digest(self) -> bytes:
        """SHA-256 over all fields."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).digest()


class EngineCache:
    """A folder with at most one engine per model."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load_or_build(self, fingerprint: Fingerprint, build: Callable[[], bytes]) -> bytes:
        """Return the engine for ``fingerprint``, from the folder or newly built and kept."""
        kept = self._load(fingerprint)
        if kept is not None:
            return kept
        log.info("engine is built", extra={"library": fingerprint.library, "gpu": fingerprint.gpu})
        engine = build()
        self._store(fingerprint, engine)
        return engine

    def discard(self, fingerprint: Fingerprint) -> None:
        """Forget an engine that the library does not take."""
        self._path(fingerprint).unlink(missing_ok=True)

    def _load(self, fingerprint: Fingerprint) -> bytes | None:
        path = self._path(fingerprint)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        start = len(_MAGIC) + 2 * _DIGEST_BYTES
        engine = content[start:]
        expected = _MAGIC + fingerprint.digest + hashlib.sha256(engine).digest()
        if content[:start] != expected:
            log.warning("engine is damaged or foreign, built again", extra={"file": path.name})
            return None
        return engine

    def _store(self, fingerprint: Fingerprint, engine: bytes) -> None:
        path = self._path(fingerprint)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(_MAGIC + fingerprint.digest + hashlib.sha256(engine).digest() + engine)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as e:
            # A full disk costs the next start some minutes, not this one its engine.
            log.warning("engine is not kept", extra={"reason": e.strerror})
            with suppress(OSError):
                part.unlink()
            return
        for other in self._folder.glob(f"{fingerprint.model_sha256[:16]}-*.engine"):
            if other != path:
                other.unlink(missing_ok=True)

    def _path(self, fingerprint: Fingerprint) -> Path:
        name = f"{fingerprint.model_sha256[:16]}-{fingerprint.digest.hex()[:16]}.engine"
        return self._folder / name
