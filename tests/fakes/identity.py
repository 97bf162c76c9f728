"""The identity service as it is: over HTTPS on a free port, in a thread, with a clock to set."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn

from shopfloor_contracts.enrolment import TokenRequest
from shopfloor_contracts.site import SiteFile
from shopfloor_edge.identity.device import Identity, Invitation
from shopfloor_identity.adapters.http import Rates, guarded
from shopfloor_identity.app import Parts
from shopfloor_identity.ca.local import LocalAuthority
from shopfloor_identity.settings import Settings
from shopfloor_kit.rates import RateLimit
from shopfloor_kit.tls import TlsFiles, tls_options

SERIAL = "4CE0460D0G"
ANY_RATE = Rates(*[RateLimit(per_minute=1e6, burst=10**6)] * 2)


class Clock:
    """What time the service thinks it is."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class House:
    """Authority and service in one folder; ``start`` serves it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.clock = folder, Clock()
        self.authority = LocalAuthority(folder / "pki", name="Test")
        pair = self.authority.server("identity", ["127.0.0.1", "localhost"])
        self.settings = Settings(
            **{
                "database": f"sqlite:///{folder}/identity.db",
                "authority": self.authority.online,
                "crl_file": self.authority.lists,
                "tls_cert_file": pair.certificate,
                "tls_key_file": pair.key,
                "tls_ca_file": self.authority.certificate,
                **settings,
            }
        )
        self.parts = Parts(self.settings, now=self.clock)
        self.parts.lists.publish(revoked=False)
        self.url = ""

    @contextmanager
    def serving(self, rates: Rates = ANY_RATE):
        """Serve, and end."""
        with serving(guarded(self.parts.api(rates)), self.settings.tls) as self.url:
            yield self
        self.parts.close()

    def invite(self, name: str = "oslo/door", serial: str = SERIAL, **more: Any) -> Invitation:
        """Make a token, as an operator does."""
        site, device = name.split("/")
        wanted = TokenRequest(site=site, device=device, serial=serial, **more)
        return Invitation(self.parts.office.invite(wanted, "ada").token, serial)

    def device(self, folder: Path, name: str = "oslo/door", **identity: Any) -> Identity:
        """Return a device that knows this service, and has no certificate yet."""
        return Identity(self.site(folder, name, **identity))

    def site(self, folder: Path, name: str = "oslo/door", **identity: Any) -> SiteFile:
        """Return its site file."""
        site, device = name.split("/")
        own = {"folder": str(folder), "url": self.url, "ca_file": str(self.authority.certificate)}
        camera = {"name": "entrance", "uri": "rtsp://127.0.0.1/none"}
        values = {"site": site, "device": device, "cameras": [camera]}
        return SiteFile.model_validate(values | {"identity": own | identity})

    def enrolled(self, folder: Path, name: str = "oslo/door", **identity: Any) -> Identity:
        """Return a device with a certificate."""
        device = self.device(folder, name, **identity)
        device.enrol(self.invite(name))
        return device

    def audited(self) -> list[tuple[str, str, str]]:
        """Return actor, action and subject of every entry of the audit log."""
        with self.parts.engine.connect() as connection:
            query = "SELECT actor, action, subject, detail FROM audit ORDER BY number"
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    def context(self, device: Identity | None = None) -> ssl.SSLContext:
        """Return a client's TLS context, with a device's certificate."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        if device is not None:
            device.show(context)
        return context


@contextmanager
def serving(app: Any, files: TlsFiles | None):
    """Serve any application over TLS on a free port; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    options = tls_options(files)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, **options))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    scheme = "http" if files is None else "https"
    try:
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
