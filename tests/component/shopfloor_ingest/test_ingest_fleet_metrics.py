"""What Prometheus gets from a real ingest process about a real device."""

from __future__ import annotations

import re
import time

import pytest

from component.shopfloor_ingest.conftest import wait_until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(60)]


def test_a_device_that_speaks_is_in_the_series_of_its_site(ingest, connect):
    ingest.start()
    link = connect()
    link.say(link.device.birth(), link.device.heartbeat(), link.device.traffic(1))
    link.wait_for_ack(1)

    def scraped():
        text = ingest.get("/metrics").text
        return text if "shopfloor_fleet_outbox_rows{" in text else None

    text = wait_until(scraped, what="a heartbeat in the metrics")

    assert 'shopfloor_fleet_devices{site="oslo",state="online"} 1.0' in text
    assert 'shopfloor_fleet_outbox_rows{site="oslo"} 7.0' in text
    assert "shopfloor_fleet_complete 1.0" in text
    assert "shopfloor_ingest_database_up 1.0" in text
    (newest,) = re.findall(r"shopfloor_fleet_newest_event_\w+\{site=\"oslo\"\} (\S+)", text)
    assert 0 < float(newest) <= time.time()
