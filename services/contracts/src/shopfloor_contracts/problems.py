"""Say in one line each what is wrong with a file that a person wrote."""

from __future__ import annotations

import difflib
import re
import typing
from typing import Any

from pydantic import BaseModel, ValidationError

_LOGIN = re.compile(r"//[^/\s]*@")
"""User and password in a URI: what is wrong is told to logs too."""


def describe(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return one line per problem: where, what was found, and the nearest valid key."""
    return [_line(problem, model) for problem in error.errors(include_url=False)]


def _line(problem: Any, model: type[BaseModel]) -> str:
    path = problem["loc"]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    where = where.lstrip(".") or "file"
    if problem["type"] == "extra_forbidden":
        valid = sorted(_fields_at(model, path[:-1]))
        near = difflib.get_close_matches(str(path[-1]), valid, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "valid keys: " + ", ".join(valid)
        return f"unknown key {where!r}; {hint}"
    if problem["type"] == "missing":
        return f"{where} is missing"
    if problem["type"] == "value_error":
        return f"{where}: {problem['ctx']['error']}"
    found = _LOGIN.sub("//…@", repr(problem["input"]))
    found = found if len(found) <= 60 else found[:57] + "…"
    return f"{where} is {found}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _fields_at(model: type[BaseModel], path: tuple[int | str, ...]) -> set[str]:
    """Return the keys that are valid at ``path`` below ``model``."""
    for part in path:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        inner = _model_in(field.annotation) if field is not None else None
        if inner is None:
            return set()
        model = inner
    return set(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model inside ``list[Model]``, ``Model | None`` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        inner = _model_in(argument)
        if inner is not None:
            return inner
    return None
