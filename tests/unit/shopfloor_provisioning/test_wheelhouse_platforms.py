import pytest

from shopfloor_provisioning.wheelhouse.errors import PlatformError
from shopfloor_provisioning.wheelhouse.platforms import PROMISED, Platform, choose_platforms


def test_three_pythons_on_two_architectures_are_promised():
    names = {platform.name for platform in PROMISED}

    assert names == {f"3.{m}-{a}" for m in (11, 12, 13) for a in ("x86_64", "aarch64")}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("3.12-aarch64", ["3.12-aarch64"]),
        ("3.13", ["3.13-x86_64", "3.13-aarch64"]),
        ("aarch64", ["3.11-aarch64", "3.12-aarch64", "3.13-aarch64"]),
        ("3.11-x86_64, 3.12-x86_64", ["3.11-x86_64", "3.12-x86_64"]),
    ],
)
def test_a_name_a_python_or_an_architecture_narrows(wanted, names):
    assert [platform.name for platform in choose_platforms(wanted)] == names


def test_no_name_means_everything():
    assert choose_platforms("") == list(PROMISED)


def test_a_platform_that_is_not_promised_is_refused_with_those_that_are():
    with pytest.raises(PlatformError, match=r"'3\.10' is not promised.*3\.11-x86_64"):
        choose_platforms("3.12,3.10")


def test_a_wheel_for_a_newer_glibc_than_the_oldest_system_has_is_not_for_us():
    tags = {str(tag) for tag in Platform("3.12", "aarch64").tags}

    assert "cp312-cp312-manylinux_2_36_aarch64" in tags
    assert "cp312-cp312-manylinux2014_aarch64" in tags
    assert "cp37-abi3-manylinux_2_28_aarch64" in tags
    assert "py3-none-any" in tags
    assert "cp312-cp312-manylinux_2_37_aarch64" not in tags
    assert not any("x86_64" in tag or "musllinux" in tag for tag in tags)
