"""The demo's site files are what a device accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopfloor_demo.site import MIDDLE, VTEST, Device, Uplink, read_site, write_site


@pytest.mark.parametrize("drawing", [VTEST, MIDDLE])
def test_a_site_file_says_who_counts_what_and_reports_where(tmp_path, drawing):
    path = tmp_path / "site.toml"
    uplink = Uplink(4711, Path('/run/odd "name"/password'))

    write_site(path, Device(), uri="rtsp://h/s?a=ü", drawing=drawing, uplink=uplink)

    site = read_site(path)
    assert site.cameras[0].uri == "rtsp://h/s?a=ü"
    assert site.cameras[0].lines[0].name == drawing.line
    assert site.cameras[0].zones[0].polygon == list(drawing.polygon)
    assert site.uplink.username == "demo-store/counter-1"
    assert site.uplink.password_file == '/run/odd "name"/password'
