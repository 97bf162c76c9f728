"""Errors of collecting a wheelhouse; using one has its own in ``shopfloor_provisioning.errors``.

CollectError
├── WheelsMissingError     a package cannot be had for a platform that we promise (exit 2)
├── PinError               constraints.txt and what is required disagree (exit 2)
├── PlatformError          a platform that we don't promise is asked for (exit 2)
├── WheelError             a file is no wheel, or not the one that was recorded (exit 2)
└── IndexUnreachableError  the package index does not answer: try again (exit 1)
"""

from __future__ import annotations

from collections.abc import Sequence

from shopfloor_provisioning.errors import ProvisioningError


class CollectError(ProvisioningError):
    """The wheelhouse is not complete."""


class WheelsMissingError(CollectError):
    """Packages have no wheel for a promised platform."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class PinError(CollectError):
    """A package is not pinned, or pinned to what is not allowed."""


class PlatformError(CollectError):
    """A platform is asked for that we don't promise."""


class WheelError(CollectError):
    """A file is not the wheel that it should be."""


class IndexUnreachableError(CollectError):
    """The package index does not answer."""
