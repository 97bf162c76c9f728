"""How sealed content is told from plain; imports nothing: readers of plain files stay small."""

from __future__ import annotations

MAGIC = b"shopfloor-sealed\x01"
MAX_BYTES = 1 << 30
"""Content is opened in memory."""
OVERHEAD_BYTES = len(MAGIC) + 48
"""The mark, the encapsulated key and the tag."""


def is_sealed(content: bytes) -> bool:
    """Say whether ``content`` carries our mark."""
    return content.startswith(MAGIC)


def purpose_of(name: str) -> str:
    """Return what a kept secret is bound to: one cannot stand in for another."""
    return f"secret {name}"
