"""The site file that is good now: the slots' or the one that was provisioned."""

from __future__ import annotations

import logging
from pathlib import Path

from shopfloor_contracts.errors import ContractError
from shopfloor_contracts.site import SiteFile
from shopfloor_edge.errors import JournalError
from shopfloor_edge.settings import load_site
from shopfloor_edge.slots.file import SlotsFile
from shopfloor_edge.slots.store import Store

log = logging.getLogger(__name__)


def active_site(provisioned: SiteFile, state: Path) -> SiteFile:
    """Return the good site file; a broken one is passed over, told in the log."""
    file = SlotsFile(state)
    try:
        release = file.read().config.active
        if release is not None:
            return load_site(Store(file.folder).site_file(release.digest))
    except (JournalError, ContractError) as e:
        log.warning("site file of the slot cannot be used", extra={"reason": str(e)})
    return provisioned
