"""Libraries that only some stations need; absent, one line says which extra brings them."""

from __future__ import annotations

import importlib
from typing import Any

from shopfloor_edge.errors import OutputError


def import_extra(module: str, *, extra: str) -> Any:
    """Return a module of an optional library.

    Raises:
        OutputError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as e:
        name = module.partition(".")[0]
        raise OutputError(
            f"{name} is not installed; 'pip install shopfloor-edge[{extra}]' brings it"
        ) from e
