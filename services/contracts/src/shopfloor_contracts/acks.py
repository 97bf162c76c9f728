"""The application-level acknowledgement: how far the cloud has stored one device's outbox."""

from __future__ import annotations

import uuid

from shopfloor_contracts.base import Count, Wire


class Ack(Wire):
    """Every event of ``stream`` up to and including ``up_to`` is stored or was dropped.

    A device deletes those from its outbox, and nothing else. ``up_to`` never goes back.
    """

    stream: uuid.UUID
    up_to: Count
