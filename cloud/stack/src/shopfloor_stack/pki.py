"""The stack's certificate authority: the identity service's, with its root's key beside it.

It serves one machine and tests. A fleet's root is made by a ceremony, and its devices enrol.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from shopfloor_identity.ca.certificates import SERVICE_LIFE
from shopfloor_identity.ca.local import LocalAuthority, Pair
from shopfloor_identity.errors import AuthorityError
from shopfloor_stack.errors import OperatorError

LEAF_LIFE = SERVICE_LIFE


class Authority:
    """Issues certificates into one folder; keeps what is there and still valid."""

    def __init__(self, folder: Path, *, now: datetime | None = None) -> None:
        """Open the authority, or make it.

        Raises:
            OperatorError: what is there is no authority.
        """
        try:
            self._local = LocalAuthority(folder, name="Shopfloor cloud", now=now)
        except AuthorityError as e:
            raise OperatorError(f"{folder}: no authority can be read there: {e}") from e
        self.certificate = self._local.certificate
        self.lists = self._local.lists
        self.online = self._local.online

    def server(self, name: str, hosts: Sequence[str]) -> Pair:
        """Return the certificate of a server that is reached under ``hosts``."""
        return self._local.server(name, hosts)

    def client(self, name: str, identity: str) -> Pair:
        """Return the certificate of a client; ``identity`` is its user name at the broker."""
        return self._local.client(name, identity)
