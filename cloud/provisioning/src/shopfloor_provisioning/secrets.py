"""Secrets of a site, apart from its file: the environment, or a file encrypted with age.

A value is handed to a device as a file and goes nowhere else: it is in no message, plan or event.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyrage

from shopfloor_provisioning.errors import SecretError

PREFIX = "SHOPFLOOR_SECRET_"
KEY_FILE = "SHOPFLOOR_AGE_KEY_FILE"
_HIDDEN = "********"
_SHORTEST = 4
"""What is shorter would blank out half of any text."""


class Secrets:
    """Values by name; says nothing of them when it is printed."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(sorted(self._values))})"

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def only(self, names: Iterable[str]) -> dict[str, str]:
        """Return the values of these names, for the process that hands them over."""
        return {name: self._values[name] for name in names if name in self._values}

    def hide(self, text: str) -> str:
        """Blank out every value in ``text``: the last line of defence of what is printed."""
        for value in sorted(self._values.values(), key=len, reverse=True):
            if len(value) >= _SHORTEST:
                text = text.replace(value, _HIDDEN)
        return text


def read_secrets(wanted: set[str], store: Path, environment: Mapping[str, str]) -> Secrets:
    """Find every secret that is wanted; the environment wins over the file.

    The file is ``NAME.secrets.age`` beside ``NAME.toml``: TOML of names and values, encrypted to
    the identity in the file that ``SHOPFLOOR_AGE_KEY_FILE`` names.

    Raises:
        SecretError: some are nowhere, all named at once, or the file cannot be opened.
    """
    found = {name: environment[PREFIX + name] for name in wanted if environment.get(PREFIX + name)}
    file = store.with_suffix(".secrets.age")
    if wanted - set(found) and file.exists():
        found = _decrypted(file, environment.get(KEY_FILE, "")) | found
    missing = sorted(wanted - set(found))
    if missing:
        names = ", ".join(PREFIX + name for name in missing)
        raise SecretError(f"secrets are missing: set {names}, or encrypt them into {file}")
    broken = sorted(name for name in wanted if "\n" in found[name] or "\x00" in found[name])
    if broken:
        raise SecretError(f"secrets {', '.join(broken)} hold a line break, expected one line")
    return Secrets({name: found[name] for name in wanted})


def _decrypted(file: Path, key_file: str) -> dict[str, str]:
    if not key_file:
        raise SecretError(f"{file} is encrypted: {KEY_FILE} names the file with its age identity")
    try:
        lines = Path(key_file).expanduser().read_text(encoding="utf-8").splitlines()
        text = next(line for line in lines if line.startswith("AGE-SECRET-KEY-"))
        plain = pyrage.decrypt(file.read_bytes(), [pyrage.x25519.Identity.from_str(text)])
        values = tomllib.loads(plain.decode())
    except OSError as e:
        raise SecretError(f"{e.filename}: {e.strerror}") from e
    except StopIteration:
        raise SecretError(f"{key_file}: holds no line that begins with AGE-SECRET-KEY-") from None
    except (pyrage.DecryptError, pyrage.IdentityError):
        # What the library says could quote the key.
        raise SecretError(f"{file}: is not encrypted to the identity in {key_file}") from None
    except ValueError:
        raise SecretError(f"{file}: holds no TOML of names and values") from None
    wrong = sorted(name for name, value in values.items() if not isinstance(value, str))
    if wrong:
        raise SecretError(f"{file}: {', '.join(wrong)} are no texts")
    return {name: str(value) for name, value in values.items()}
