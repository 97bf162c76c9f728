"""Signing in: what lets a person in, and what does not."""

import pytest

from fakes.console_site import ConsoleSite


@pytest.fixture
def site(tmp_path):
    site = ConsoleSite(tmp_path / "state")
    yield site
    site.close()


def test_a_person_signs_in_with_name_and_pin(site):
    client = site.client("Ana")

    answer = client.get("/")

    assert answer.status_code == 200
    assert "Ana" in answer.text
