"""Where everything lies on a device; under the ``local`` connector all of it is below a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class Layout:
    """The device's folders and files below ``root``."""

    root: PurePosixPath

    @property
    def settings(self) -> PurePosixPath:
        """What an operator decides."""
        return self.root / "etc/shopfloor"

    @property
    def site_file(self) -> PurePosixPath:
        """What the device watches and where it reports to."""
        return self.settings / "site.toml"

    @property
    def secrets(self) -> PurePosixPath:
        """One secret a file."""
        return self.settings / "secrets"

    @property
    def identity(self) -> PurePosixPath:
        """Certificate, key and authority."""
        return self.settings / "identity"

    @property
    def authority(self) -> PurePosixPath:
        """Root that the identity service is believed by, before there is a certificate."""
        return self.settings / "cloud-ca.crt"

    @property
    def trust(self) -> PurePosixPath:
        """The registry's root of trust."""
        return self.settings / "tuf"

    @property
    def state(self) -> PurePosixPath:
        """What the processes keep."""
        return self.root / "var/lib/shopfloor"

    @property
    def product(self) -> PurePosixPath:
        """Programs; belongs to the service user, no code of root's."""
        return self.root / "opt/shopfloor"

    @property
    def apps(self) -> PurePosixPath:
        """A virtual environment per set of wheels, named by its digest."""
        return self.product / "app"

    @property
    def current(self) -> PurePosixPath:
        """Link to the one that runs."""
        return self.product / "current"

    @property
    def command(self) -> PurePosixPath:
        """``shopfloor-edge`` of the one that runs."""
        return self.current / "bin/shopfloor-edge"

    @property
    def launcher(self) -> PurePosixPath:
        """Starts a process out of the environment in use, or out of one on trial."""
        return self.product / "launch"

    @property
    def wheels(self) -> PurePosixPath:
        """Wheels that were brought, so that a cut costs none twice."""
        return self.root / "var/cache/shopfloor/wheels"

    @property
    def run(self) -> PurePosixPath:
        """Process ids, where no systemd keeps them."""
        return self.root / "run/shopfloor"

    @property
    def logs(self) -> PurePosixPath:
        """Logs, where no journal keeps them."""
        return self.root / "var/log/shopfloor"

    @property
    def units(self) -> PurePosixPath:
        """Units of systemd."""
        return self.root / "etc/systemd/system"
