"""Quotes of a TPM 2.0 against a policy: what a device has booted, signed with a nonce of ours.

Structures: TPM 2.0 Library part 2, §10.12.12 (TPMS_ATTEST) and §10.12.1 (TPMS_QUOTE_INFO).
"""

from __future__ import annotations

import hashlib
import struct
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shopfloor_contracts.enrolment import Quote
from shopfloor_identity.errors import RefusedError

_GENERATED, _QUOTE, _SHA256 = 0xFF544347, 0x8018, 0x000B
_CLOCK_AND_FIRMWARE_BYTES = 17 + 8


@dataclass(frozen=True, slots=True)
class Policy:
    """What a site asks for before it hands secrets out."""

    required: bool = False
    registers: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """PCR of the SHA-256 bank → values that are accepted, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class _Attest:
    nonce: bytes
    selected: tuple[int, ...]
    digest: bytes


def check_quote(quote: Quote, key_pem: str, policy: Policy, name: str) -> None:
    """Check signature, nonce and registers; the nonce's age and owner are checked elsewhere.

    Raises:
        RefusedError: one of them is not as it should be; the first that is found.
    """
    try:
        message, signature, nonce = map(b64decode, (quote.message, quote.signature, quote.nonce))
        attest = _parse(message)
    except (Base64Error, ValueError, struct.error) as e:
        raise _refused(name, f"is no quote of a TPM: {e}") from e
    _check_signature(key_pem, message, signature, name)
    if attest.nonce != nonce:
        raise _refused(name, "was made for another nonce")
    if tuple(sorted(quote.registers)) != attest.selected:
        raise _refused(name, f"is over registers {list(attest.selected)}, others are told")
    values = b"".join(bytes.fromhex(quote.registers[number]) for number in attest.selected)
    if hashlib.sha256(values).digest() != attest.digest:
        raise _refused(name, "is over other values than those that are told")
    for number, accepted in sorted(policy.registers.items()):
        found = quote.registers.get(number)
        if found not in accepted:
            raise _refused(name, f"register {number} is {found or 'not quoted'}, not in the policy")


def _parse(message: bytes) -> _Attest:
    magic, kind = struct.unpack_from(">IH", message)
    if (magic, kind) != (_GENERATED, _QUOTE):
        raise ValueError(f"magic and type are {magic:#x}, {kind:#x}")
    _signer, at = _sized(message, 6)
    nonce, at = _sized(message, at)
    at += _CLOCK_AND_FIRMWARE_BYTES
    (count,) = struct.unpack_from(">I", message, at)
    if count != 1:
        raise ValueError(f"{count} banks are selected, expected one")
    bank, size = struct.unpack_from(">HB", message, at + 4)
    bits = message[at + 7 : at + 7 + size]
    if bank != _SHA256 or len(bits) != size:
        raise ValueError(f"bank {bank:#x} is selected, expected SHA-256")
    selected = tuple(n for n in range(8 * size) if bits[n // 8] >> (n % 8) & 1)
    digest, at = _sized(message, at + 7 + size)
    if at != len(message):
        raise ValueError(f"has {len(message)} bytes, expected {at}")
    return _Attest(nonce, selected, digest)


def _sized(message: bytes, at: int) -> tuple[bytes, int]:
    (size,) = struct.unpack_from(">H", message, at)
    end = at + 2 + size
    if end > len(message):
        raise ValueError(f"is cut off at byte {len(message)}")
    return message[at + 2 : end], end


def _check_signature(key_pem: str, message: bytes, signature: bytes, name: str) -> None:
    try:
        key = serialization.load_pem_public_key(key_pem.encode())
    except (ValueError, UnsupportedAlgorithm) as e:
        raise _refused(name, "has an attestation key that cannot be read") from e
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise _refused(name, "has an attestation key that is not on an elliptic curve")
    try:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as e:
        raise _refused(name, "is not signed by the key that it was enrolled with") from e


def _refused(name: str, what: str) -> RefusedError:
    return RefusedError("quote-refused", f"the quote of {name} {what}", subject=name)
