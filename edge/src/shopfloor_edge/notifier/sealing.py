"""Web push's cryptography: a message only one browser can open, and the proof of who sends it.

Sources: RFC 8291 (message encryption), RFC 8188 (aes128gcm), RFC 8292 (VAPID).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import struct
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shopfloor_edge.errors import OperatorError

RECORD_BYTES = 4096
"""One record; RFC 8291 §4 wants push services to take that many bytes."""
PAYLOAD_MAX = RECORD_BYTES - 103
"""Without header (86), padding delimiter (1) and tag (16)."""
TOKEN_S = 12 * 3600
"""RFC 8292 §2: at most a day."""


class KeyRefusedError(ValueError):
    """A browser's key or secret is not what RFC 8291 asks for."""


def seal(
    payload: bytes,
    *,
    p256dh: str,
    auth: str,
    salt: bytes | None = None,
    ours: ec.EllipticCurvePrivateKey | None = None,
) -> bytes:
    """Encrypt for one browser; the body of a request with ``Content-Encoding: aes128gcm``.

    Args:
        payload: at most ``PAYLOAD_MAX`` bytes.
        p256dh: the browser's public key, base64url of 65 bytes.
        auth: its secret, base64url of 16 bytes.
        salt: 16 bytes; random unless a test gives them.
        ours: a key for this message alone; made unless a test gives one.

    Raises:
        KeyRefusedError: key, secret or payload are not of that size and kind.
    """
    theirs_bytes, secret = _decoded(p256dh, 65, "p256dh"), _decoded(auth, 16, "auth")
    if len(payload) > PAYLOAD_MAX:
        raise KeyRefusedError(f"payload has {len(payload)} bytes, expected at most {PAYLOAD_MAX}")
    try:
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs_bytes)
    except ValueError as e:
        raise KeyRefusedError("p256dh is no point of P-256") from e
    ours, salt = ours or ec.generate_private_key(ec.SECP256R1()), salt or os.urandom(16)
    ours_bytes = _point(ours.public_key())
    about = b"WebPush: info\x00" + theirs_bytes + ours_bytes
    shared = _derive(ours.exchange(ec.ECDH(), theirs), secret, about, 32)
    key = _derive(shared, salt, b"Content-Encoding: aes128gcm\x00", 16)
    nonce = _derive(shared, salt, b"Content-Encoding: nonce\x00", 12)
    header = salt + struct.pack(">IB", RECORD_BYTES, len(ours_bytes)) + ours_bytes
    # \x02 ends the last record (RFC 8188 §2).
    return header + AESGCM(key).encrypt(nonce, payload + b"\x02", None)


def authorization(
    key: ec.EllipticCurvePrivateKey, *, audience: str, contact: str, now: float
) -> str:
    """Return the header ``Authorization`` of VAPID.

    Args:
        audience: scheme and host of the push service.
        now: seconds since the epoch.
    """
    claims = {"aud": audience, "exp": int(now) + TOKEN_S, "sub": contact}
    parts = [{"typ": "JWT", "alg": "ES256"}, claims]
    signed = ".".join(_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    signature = _encoded(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return f"vapid t={signed}.{signature}, k={public_text(key)}"


def public_text(key: ec.EllipticCurvePrivateKey) -> str:
    """Return the public key as a browser's ``applicationServerKey`` wants it: base64url."""
    return _encoded(_point(key.public_key()))


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read this device's key; make it, for this user alone, when it is absent.

    Raises:
        OperatorError: it cannot be read or written, or is no private key on P-256.
    """
    try:
        if not path.exists():
            _make_key(path)
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise OperatorError(f"{path}: no private key that can be used: {e}") from e
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise OperatorError(f"{path}: expected a private key on P-256")
    return key


def _make_key(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Console and notifier may both be first: one makes it, the other finds it.
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink()


def _derive(secret: bytes, salt: bytes, about: bytes, size: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=size, salt=salt, info=about).derive(secret)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str, size: int, what: str) -> bytes:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as e:
        raise KeyRefusedError(f"{what} is no base64url") from e
    if len(data) != size:
        raise KeyRefusedError(f"{what} has {len(data)} bytes, expected {size}")
    return data
