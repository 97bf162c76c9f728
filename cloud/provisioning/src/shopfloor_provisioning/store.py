"""What an installer writes: ``cloud/sites/NAME.toml``, one file per site, without any secret."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from datetime import time
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import Field, JsonValue, ValidationError, field_validator, model_validator

from shopfloor_contracts.base import Operator, Slug, refuse_twins
from shopfloor_contracts.problems import describe
from shopfloor_contracts.rules import RuleSpec
from shopfloor_contracts.site import CameraSpec, ModelSpec
from shopfloor_provisioning.errors import StoreFileError

SecretName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,60}$")]
"""``ENTRANCE``: of the variable ``SHOPFLOOR_SECRET_ENTRANCE``, or a key of the encrypted file."""
Process = Literal["vision", "agent", "console", "notify", "sensors", "station"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_Hours = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")]
_Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+", max_length=500)]
MAX_BYTES = 1_000_000
_STREAMS = ("rtsp", "rtsps", "http", "https")
_LOGIN = re.compile(r"//[^/\s]*@")


class Camera(CameraSpec):
    """A camera as in the site file; its password is a secret that is named."""

    password_secret: SecretName | None = None

    @model_validator(mode="after")
    def _uris_can_be_used(self) -> Self:
        for key, uri in (("uri", self.uri), ("sub_uri", self.sub_uri)):
            problem = None if uri is None else _uri_problem(uri)
            if problem:
                raise ValueError(f"{key} of camera {self.name!r} {problem}")
        if self.password_secret is not None and self.password_file is not None:
            raise ValueError(
                f"camera {self.name!r}: password_secret and password_file exclude each other"
            )
        return self


class Person(Operator):
    """Somebody who signs in to the console; ``name`` may be a role, as "manager"."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    role: Literal["staff", "manager", "installer"] = "staff"
    pin_secret: SecretName | None = None
    """Absent: the device makes a PIN, which is shown once."""


class DeviceFile(Operator):
    """One device: how it is reached, and what it watches."""

    name: Slug
    connector: Literal["ssh", "local", "chroot"] = "ssh"
    address: Annotated[str, Field(max_length=255)] = ""
    """Host name or IP address of ``ssh``, folder of ``chroot``; none for ``local``."""
    port: Annotated[int, Field(ge=1, le=65_535)] = 22
    user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")] = "root"
    """Root, or one who may use sudo without a password."""
    key_file: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    password_secret: SecretName | None = None
    host_key: Annotated[str, Field(pattern=r"^(ssh|ecdsa)-\S+ \S+")] | None = None
    """As ``ssh-keyscan`` prints it. Without it the first key is taken and kept."""
    architecture: Literal["x86_64", "aarch64"] | None = None
    """Checked against the host; none takes it as it is."""
    software: Literal["wheelhouse", "here"] | None = None
    """"here": this command's own environment; the default of ``local`` without a wheelhouse."""
    video: Literal["gstreamer", "pyav"] = "gstreamer"
    processes: Annotated[tuple[Process, ...], Field(min_length=1)] = ("vision", "agent", "console")
    model: ModelSpec | None = None
    cameras: Annotated[list[Camera], Field(min_length=1, max_length=64)]
    rules: Annotated[list[RuleSpec], Field(max_length=256)] = Field(default_factory=list)
    site: dict[str, JsonValue] = Field(default_factory=dict)
    """Sections of its site file that differ from ``[site_file]``."""
    files: dict[Literal["sensors.toml", "recipe.toml"], str] = Field(default_factory=dict)
    """Files beside this one that sensors and station want."""

    @model_validator(mode="after")
    def _is_reachable(self) -> Self:
        refuse_twins("process", self.processes)
        if self.connector == "local":
            wrong = "nothing: it is this machine" if self.address else ""
        elif self.connector == "chroot":
            wrong = "" if PurePosixPath(self.address).is_absolute() else "an absolute folder"
        else:
            wrong = (
                "" if re.fullmatch(r"[\w.:-]+", self.address) else "a host name or an IP address"
            )
        if wrong:
            raise ValueError(
                f"address of device {self.name!r} is {self.address!r}, expected {wrong}"
            )
        for process, file in (("sensors", "sensors.toml"), ("station", "recipe.toml")):
            if process in self.processes and file not in self.files:
                raise ValueError(f"device {self.name!r} runs {process}: files wants {file!r}")
        return self


class CloudFile(Operator):
    """Where the cloud is. Nothing of it: the demo's cloud is started on this machine."""

    broker_host: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    broker_port: Annotated[int, Field(ge=1, le=65_535)] = 8883
    identity_url: _Url | None = None
    """Where devices get their certificates."""
    ingest_url: _Url | None = None
    """Asked by the commissioning report whether events arrive."""
    registry_url: _Url | None = None
    campaigns_url: _Url | None = None
    root_file: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """The registry's root of trust, beside this file or absolute: no update without it."""
    ca_file: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """The authority of the cloud's servers, beside this file or absolute."""


class Rehearsal(Operator):
    """What a real store has and this machine lacks; started beside the devices."""

    cloud: bool = False
    """Start the cloud's parts here, as ``make cloud-up`` does."""
    camera_port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """Serve the demo's footage as an RTSP camera: ``rtsp://127.0.0.1:PORT/stream``."""


class StoreFile(Operator):
    """One site: where it is, when it is open, what stands there, and who works there."""

    schema_version: Literal[1] = 1
    site: Slug
    time_zone: str = "UTC"
    labels: dict[Slug, Annotated[str, Field(max_length=100)]] = Field(default_factory=dict)
    opening_hours: dict[Day, list[_Hours]] = Field(default_factory=dict)
    cloud: CloudFile = CloudFile()
    rehearsal: Rehearsal = Rehearsal()
    site_file: dict[str, JsonValue] = Field(default_factory=dict)
    """Sections that every device's site file gets: window_s, evidence, console, …"""
    devices: Annotated[list[DeviceFile], Field(min_length=1, max_length=500)]
    staff: Annotated[list[Person], Field(max_length=200)] = Field(default_factory=list)

    @field_validator("opening_hours")
    @classmethod
    def _hours_have_length(cls, hours: dict[Day, list[str]]) -> dict[Day, list[str]]:
        for day, stretches in hours.items():
            for stretch in stretches:
                opens, closes = (time.fromisoformat(end) for end in stretch.split("-"))
                if opens == closes:
                    raise ValueError(f"{day}: opens and closes at {opens:%H:%M}")
        return hours

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        refuse_twins("device", [device.name for device in self.devices])
        refuse_twins("person", [person.name.casefold() for person in self.staff])
        places = [
            f"{device.connector}:{device.address}:{device.port}"
            for device in self.devices
            if device.connector != "local"
        ]
        refuse_twins("device", places)
        return self

    @property
    def secret_names(self) -> set[str]:
        """Every secret that is named."""
        named = [person.pin_secret for person in self.staff]
        for device in self.devices:
            named += [device.password_secret, *(c.password_secret for c in device.cameras)]
        return {name for name in named if name is not None}

    def device(self, name: str) -> DeviceFile:
        """Return the device of that name."""
        return next(device for device in self.devices if device.name == name)


def read_store(path: Path) -> StoreFile:
    """Read the file of a site; say what is wrong with all of it.

    Raises:
        StoreFileError: it cannot be read or used, or another file beside it has the same site.
    """
    store = _parse(path)
    twins = sorted(
        other.name for other in path.parent.glob("*.toml") if _is_twin(other, path, store)
    )
    if twins:
        raise StoreFileError(
            path,
            [
                f"site {store.site!r} is named in {', '.join(twins)} too: "
                f"each site has a name of its own"
            ],
        )
    return store


def _parse(path: Path) -> StoreFile:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise StoreFileError(path, [f"larger than {MAX_BYTES} bytes"])
        return StoreFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as e:
        raise StoreFileError(path, [f"cannot be read: {e.strerror or e}"]) from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise StoreFileError(path, [f"not TOML: {e}"]) from e
    except ValidationError as e:
        raise StoreFileError(path, describe(e, StoreFile)) from e


def _is_twin(other: Path, path: Path, store: StoreFile) -> bool:
    if other.resolve() == path.resolve():
        return False
    try:
        return bool(tomllib.loads(other.read_text(encoding="utf-8")).get("site") == store.site)
    except (OSError, ValueError):
        return False  # its own command says what is wrong with it


def _uri_problem(uri: str) -> str | None:
    """Say what stops a camera's address from being used; its login is never repeated."""
    shown = _LOGIN.sub("//…@", uri)
    if any(unicodedata.category(character) == "Cc" for character in uri):
        return "holds a control character"
    if uri.split(":", 1)[0] not in _STREAMS:
        return None
    try:
        parts = urlsplit(uri)
        host = parts.hostname
    except ValueError:
        host = None
    if not host:
        return f"is {shown!r}: no host is named"
    if parts.password is not None:
        return "holds a password: name it as password_secret, and the user as username"
    if not uri.isascii() or " " in uri:
        mended = quote(shown.replace("…", ""), safe="/:?&=@%#[]!$'()*+,;~-._")
        return f"holds a space or a character outside ASCII: write it as {mended!r}"
    return None
