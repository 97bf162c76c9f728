"""Errors of the model factory.

ModelsError
├── DataError            a person mends the data
├── MissingExtraError    a package of an extra is not installed
├── TrainingError        training cannot go on
├── ExportError          a target cannot take the network
└── GateError            a build is not good enough to ship
"""

from __future__ import annotations


class ModelsError(Exception):
    """Anything that the model factory raises for people; exit 2."""


class DataError(ModelsError):
    """Images, labels or a dataset file cannot be used."""


class MissingExtraError(ModelsError):
    """A part of the factory needs packages that are not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'shopfloor-models[{extra}]'")
        self.package, self.extra = package, extra


class TrainingError(ModelsError):
    """Training cannot begin or go on."""


class ExportError(ModelsError):
    """A network cannot be written for a target."""


class GateError(ModelsError):
    """A build fails a gate; the message holds the figure and the limit."""
