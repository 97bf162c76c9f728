"""Attacks on what a device trusts, over a real connection."""

from pathlib import Path

import pytest

from fakes.ota_attacks import ATTACKS, CONTENT, Victim, mount


@pytest.mark.parametrize("attack", sorted(ATTACKS))
@pytest.mark.attack("updates: forged, replayed, frozen, endless")
def test_an_attack_is_refused(attack):
    assert mount(attack)


def test_without_an_attack_the_target_is_fetched(tmp_path: Path):
    victim = Victim(tmp_path)

    with victim.cloud.served():
        content = victim.fetch()

    assert content == CONTENT
