"""PINs: at least six digits that are not the first ones to be guessed, kept as scrypt."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from itertools import pairwise

MIN_DIGITS, MAX_DIGITS = 6, 12
# RFC 7914: 16 MiB and about 50 ms on a small device. A PIN has few values, so what protects it
# from guessing over the network is the lock-out; this protects a stolen file for a while.
_N, _R, _P = 2**14, 8, 1
_MEMORY_BYTES = 64 * 1024 * 1024


def complaint(pin: str) -> str:
    """Say why a PIN is refused; empty when it is taken."""
    if not (pin.isascii() and pin.isdigit() and MIN_DIGITS <= len(pin) <= MAX_DIGITS):
        return f"a PIN has {MIN_DIGITS} to {MAX_DIGITS} digits"
    if len(set(pin)) < 3:
        return "the PIN repeats too few digits"
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    if steps in ({1}, {9}):
        return "the PIN counts up or down"
    for length in range(2, len(pin) // 2 + 1):
        if len(pin) % length == 0 and pin == pin[:length] * (len(pin) // length):
            return "the PIN repeats itself"
    if len(pin) == 8 and 1900 <= int(pin[4:]) <= 2030:
        return "the PIN reads as a date"
    return ""


def make_pin() -> str:
    """Return a random PIN that is taken."""
    while True:
        pin = "".join(secrets.choice("0123456789") for _ in range(MIN_DIGITS))
        if not complaint(pin):
            return pin


def hash_pin(pin: str, n: int = _N) -> str:
    """Return what the staff file keeps of a PIN.

    Args:
        n: cost of scrypt, a power of two; only tests want another.
    """
    salt = secrets.token_bytes(16)
    return f"scrypt${n}${_R}${_P}${salt.hex()}${_digest(pin, salt, (n, _R, _P)).hex()}"


def is_pin(pin: str, kept: str | None) -> bool:
    """Say whether a PIN is the kept one; as slow when there is none to compare with."""
    parts = (kept or _decoy()).split("$")
    try:
        name, n, r, p, salt, digest = parts
        cost = (int(n), int(r), int(p))
        found = _digest(pin, bytes.fromhex(salt), cost)
    except ValueError:
        return False
    same = hmac.compare_digest(found.hex(), digest)
    return same and name == "scrypt" and kept is not None


def _digest(pin: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    n, r, p = cost
    return hashlib.scrypt(pin.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY_BYTES, dklen=32)


def _decoy() -> str:
    return f"scrypt${_N}${_R}${_P}${'00' * 16}${'00' * 32}"
