"""Files by digest in an S3-compatible bucket; wants the extra ``s3``."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from shopfloor_registry.errors import ArtefactError, SettingsError

PART_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where the files are; the credentials come from the environment, ``AWS_…``."""

    name: str
    prefix: str
    endpoint: str | None
    region: str


class S3Artefacts:
    """Implements the port ``Artefacts``."""

    def __init__(self, bucket: Bucket, folder: Path) -> None:
        """Set up the client; ``folder`` is where files wait while they are read.

        Raises:
            SettingsError: the extra is not installed.
        """
        try:
            library: Any = import_module("obstore")
            stores: Any = import_module("obstore.store")
        except ImportError as e:
            raise SettingsError("artefacts in S3 want the extra 'shopfloor-registry[s3]'") from e
        options: dict[str, Any] = {"endpoint": bucket.endpoint} if bucket.endpoint else {}
        plain = bool(bucket.endpoint and bucket.endpoint.startswith("http://"))
        self._library, self._folder, self._prefix = library, folder, bucket.prefix
        self._store = stores.S3Store(
            bucket.name, region=bucket.region, client_options={"allow_http": plain}, **options
        )

    def put(self, file: Path, digest: str) -> None:
        """Keep a copy of ``file``; nothing happens when it is kept already.

        Raises:
            ArtefactError: the bucket does not take it.
        """
        name = self._name(digest)
        try:
            if not self._is_there(name):
                self._library.put(self._store, name, file, chunk_size=PART_BYTES)
        except (OSError, self._library.exceptions.BaseError) as e:
            raise ArtefactError(f"artefact {digest}: {_first_line(e)}") from e

    @contextmanager
    def opened(self, digest: str) -> Iterator[Path]:
        """Give a local copy, whose digest was checked; it is gone after the block.

        Raises:
            ArtefactError: it is not there, or not what it was.
        """
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            copy = Path(folder) / digest
            try:
                self._fetch(digest, copy)
            except (OSError, self._library.exceptions.BaseError) as e:
                raise ArtefactError(f"artefact {digest}: {_first_line(e)}") from e
            yield copy

    def _fetch(self, digest: str, copy: Path) -> None:
        actual = hashlib.sha256()
        with copy.open("wb") as file:
            for chunk in self._library.get(self._store, self._name(digest)).stream(PART_BYTES):
                actual.update(chunk)
                file.write(chunk)
        if actual.hexdigest() != digest:
            raise ArtefactError(f"artefact {digest}: the bucket holds {actual.hexdigest()}")

    def _is_there(self, name: str) -> bool:
        try:
            self._library.head(self._store, name)
        except FileNotFoundError:
            return False
        return True

    def _name(self, digest: str) -> str:
        return f"{self._prefix}{digest[:2]}/{digest}"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
