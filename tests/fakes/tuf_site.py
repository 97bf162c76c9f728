"""A TUF repository on loopback with the keys of its ceremony, and what an attacker serves of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.ngclient import Updater, UpdaterConfig

from shopfloor_contracts.targets import TargetCustom, UpdateKind
from shopfloor_registry.trust.ceremony import Ceremony, create
from shopfloor_registry.trust.keys import make_key
from shopfloor_registry.trust.repository import Repository
from shopfloor_registry.trust.signing import sign

PASSPHRASE = b"correct horse battery"
NOW = datetime.now(UTC).replace(microsecond=0)
Serve = Callable[[str, bytes], bytes]
"""Path and honest bytes to what is sent."""


class TufSite:
    """A repository, its keys and devices that trust it."""

    def __init__(self, folder: Path, *, now: datetime = NOW) -> None:
        self.folder = folder
        offline, online = folder / "offline", folder / "online"
        self.root = [make_key(offline, "root", lambda _: PASSPHRASE) for _ in range(3)]
        self.keys = [make_key(offline, "targets", lambda _: PASSPHRASE)]
        ceremony = Ceremony(
            root=self.root,
            root_threshold=2,
            targets=self.keys,
            targets_threshold=1,
            snapshot=[make_key(online, "snapshot", None)],
            timestamp=[make_key(online, "timestamp", None)],
        )
        create(folder / "repository", ceremony, now=now)
        self.repository = Repository(folder / "repository", online=online)
        self.pinned = self.repository.root_bytes()

    def stage(self, path: str, content: bytes, *, now: datetime = NOW) -> None:
        file = self.folder / "file"
        file.write_bytes(content)
        custom = TargetCustom(kind=UpdateKind.MODEL, name="m", version="1", hardware=["any"])
        self.repository.stage(path, file, custom, now=now)

    def add(self, path: str, content: bytes, *, now: datetime = NOW) -> None:
        self.stage(path, content, now=now)
        self.accept(self.keys, now=now)

    def accept(self, keys: list[CryptoSigner], *, now: datetime = NOW) -> list[str]:
        staged = self.repository.staged()
        return self.repository.accept([sign(one.document, keys) for one in staged], now=now)

    def device(self, address: str, name: str = "device") -> Updater:
        """Return a device's updater; the same name again keeps what it knew."""
        folder = self.folder / name
        (folder / "targets").mkdir(parents=True, exist_ok=True)
        return Updater(
            str(folder / "metadata"),
            f"{address}/metadata/",
            target_dir=str(folder / "targets"),
            target_base_url=f"{address}/targets/",
            config=UpdaterConfig(targets_max_length=1 << 20),
            bootstrap=self.pinned,
        )

    @contextmanager
    def served(self, serve: Serve = lambda _path, content: content) -> Iterator[str]:
        """Serve the repository over loopback HTTP; yields the address."""
        folder = self.repository.folder

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                file = folder / self.path.lstrip("/")
                content = serve(self.path, file.read_bytes()) if file.is_file() else None
                self.send_response(200 if content is not None else 404)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_address[1]}"
            finally:
                server.shutdown()
                thread.join(5)


def long_ago() -> datetime:
    """Return an instant at which everything signed online has expired by now."""
    return NOW - timedelta(days=30)
