"""What a device and the identity service say to each other over HTTPS; no secrets but the token."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import Field, field_validator

from shopfloor_contracts.base import SLUG_PATTERN, Operator, Slug, Wire

ENROL_PATH = "/api/v1/enrol"
RENEW_PATH = "/api/v1/renew"
NONCE_PATH = "/api/v1/nonces"
SECRETS_PATH = "/api/v1/secrets"

CSR_MAX_CHARS = 8192
"""A request for P-256 has 500 characters."""
SECRET_INFO = b"shopfloor secret 1"
"""What HPKE binds a site's secret to (RFC 9180 §5.1)."""

HardwareSerial = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/ -]{0,126}$")]
"""Of the machine, as its board or its label says it."""
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
"""A name or an address under which tablets reach the device."""
Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+={0,2}$")]
Key = Annotated[Base64, Field(max_length=64)]
"""A raw X25519 public key."""
Pem = Annotated[str, Field(min_length=1, max_length=CSR_MAX_CHARS)]

_SLUG = re.compile(SLUG_PATTERN)


class EnrolRequest(Operator):
    """The first certificate of a device, for a one-time token."""

    token: Annotated[str, Field(min_length=1, max_length=200)]
    serial: HardwareSerial
    csr: Pem
    at: datetime
    """The device's own clock, with its zone: a certificate is useless to a clock that is off."""
    sealing_key: Key | None = None
    """What secrets for this device are sealed to: base64 of a raw X25519 public key."""
    attestation_key: Pem | None = None
    """Public key that the device's TPM signs quotes with."""

    @field_validator("at")
    @classmethod
    def _has_a_zone(cls, at: datetime) -> datetime:
        if at.tzinfo is None:
            raise ValueError("at has no time zone")
        return at


class RenewRequest(Operator):
    """The next certificate; who asks is what the present certificate says."""

    csr: Pem
    at: datetime

    @field_validator("at")
    @classmethod
    def _has_a_zone(cls, at: datetime) -> datetime:
        if at.tzinfo is None:
            raise ValueError("at has no time zone")
        return at


class Issued(Wire):
    """A certificate, as PEM, and what it is worth nothing without."""

    name: str
    """``SITE/DEVICE``: the certificate's common name."""
    certificate: str
    chain: str
    """The intermediate's certificate: sent along in every handshake."""
    authority: str
    """The root's certificate: what peers are checked against."""
    not_after: datetime
    renew_at: datetime
    """Two thirds of its life."""


class Nonce(Wire):
    """What a quote has to contain to be fresh."""

    nonce: Base64
    expires_at: datetime


class Quote(Operator):
    """What the TPM signed: base64 of ``TPMS_ATTEST``, of a DER signature, and the registers."""

    nonce: Annotated[Base64, Field(max_length=64)]
    message: Annotated[Base64, Field(max_length=4096)]
    signature: Annotated[Base64, Field(max_length=1024)]
    registers: Annotated[
        dict[int, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]], Field(max_length=24)
    ]
    """PCR number → SHA-256, in hexadecimal."""


class SecretsRequest(Operator):
    """Ask for the site's secrets; ``quote`` where the site's policy wants one."""

    quote: Quote | None = None


class Secrets(Wire):
    """Name of a file → base64 of its content, sealed to the device's key."""

    sealed: dict[str, Base64]


class TokenRequest(Operator):
    """An operator lets a device in."""

    site: Slug
    device: Slug
    serial: HardwareSerial
    minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    hosts: Annotated[list[Host], Field(max_length=8)] = Field(default_factory=list)
    """Under which the device's own console is reached; the certificate then serves HTTPS too."""


class TokenIssued(Wire):
    """The token, which cannot be read again."""

    name: str
    token: str
    expires_at: datetime


def device_name(site: str, device: str) -> str:
    """Return ``SITE/DEVICE``: common name, MQTT user name, owner of topics."""
    return f"{site}/{device}"


def controller_id(name: str) -> str:
    """Return ``SITE.DEVICE``, what the campaigns call ``SITE/DEVICE``."""
    return name.replace("/", ".", 1)


def is_device_name(name: str) -> bool:
    """Say whether ``name`` is ``SITE/DEVICE``; a service's name has no slash."""
    site, slash, device = name.partition("/")
    return bool(slash and _SLUG.fullmatch(site) and _SLUG.fullmatch(device))
