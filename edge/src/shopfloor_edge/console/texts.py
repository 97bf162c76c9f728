"""What the pages say, in each language: ``messages/LANGUAGE.toml``, one section per page."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

LANGUAGES = {"en": "English", "de": "Deutsch"}
"""Code and own name."""
_FOLDER = Path(__file__).parent / "messages"
Message = str | Mapping[str, str]


@cache
def messages(language: str) -> dict[str, Message]:
    """Return the texts of one language by ``section.key``.

    Raises:
        KeyError: there is no such language.
    """
    if language not in LANGUAGES:
        raise KeyError(language)
    sections = tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    return {
        f"{section}.{key}": message
        for section, texts in sections.items()
        for key, message in texts.items()
    }


def say(language: str, key: str, **values: object) -> str:
    """Return a text with ``{name}`` replaced by ``values``.

    A text with a table ``{one = "…", other = "…"}`` is chosen by ``count``.

    Raises:
        KeyError: no text has this key, or it wants a value that is not given.
    """
    message = messages(language)[key]
    if not isinstance(message, str):
        message = message["one" if values.get("count") == 1 else "other"]
    return message.format(**values)


def has(key: str) -> bool:
    """Say whether there is a text with this key."""
    return key in messages("en")
