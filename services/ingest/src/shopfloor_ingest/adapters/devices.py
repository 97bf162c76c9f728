"""The list of devices, for an operator: who is there, and who is gone for good."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, delete, select
from sqlalchemy.exc import SQLAlchemyError

from shopfloor_ingest.adapters import rows
from shopfloor_ingest.adapters.fleet import figures_of
from shopfloor_ingest.adapters.tables import DEVICES
from shopfloor_ingest.domain.devices import DeviceState
from shopfloor_ingest.domain.fleet import Presence, presence_of
from shopfloor_ingest.errors import DevicePresentError, StoreUnavailableError, UnknownDeviceError
from shopfloor_kit.database import cause

Listed = dict[tuple[str, str], DeviceState]


class SqlDevices:
    """Each method raises ``StoreUnavailableError`` when the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def listed(self, site: str | None = None) -> Listed:
        """Return every device, or those of one site, by site and name."""
        query = select(DEVICES).order_by(DEVICES.c.site, DEVICES.c.device)
        if site is not None:
            query = query.where(DEVICES.c.site == site)
        try:
            with self._engine.connect() as connection:
                found = connection.execute(query).all()
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e
        return {(row.site, row.device): rows.device_state(row) for row in found}

    def remove(self, site: str, device: str, *, now: datetime) -> DeviceState:
        """Take a device off the list and return what was known of it; its events stay.

        Its watermarks stay too: should it come back, nothing is counted twice.

        Raises:
            UnknownDeviceError: it is not listed.
            DevicePresentError: it is online, and would be back with its next word.
        """
        ours = (DEVICES.c.site == site, DEVICES.c.device == device)
        try:
            with self._engine.begin() as connection:
                row = connection.execute(select(DEVICES).where(*ours).with_for_update()).first()
                if row is None:
                    raise UnknownDeviceError(site, device)
                state = rows.device_state(row)
                if presence_of(figures_of(site, state), now) is Presence.ONLINE:
                    raise DevicePresentError(site, device)
                connection.execute(delete(DEVICES).where(*ours))
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e
        return state
