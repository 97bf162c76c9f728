from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from fakes.wheels import make_wheel
from shopfloor_provisioning.wheelhouse.closure import Pin, read_pins, resolve
from shopfloor_provisioning.wheelhouse.errors import PinError, WheelError
from shopfloor_provisioning.wheelhouse.metadata import Wheel, read_wheel
from shopfloor_provisioning.wheelhouse.platforms import Platform

HERE = Platform("3.11", "x86_64")
JETSON = Platform("3.12", "aarch64")


class Shelf:
    """Wheels of a folder; remembers what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, []

    def bring(self, pins: Sequence[Pin], platform: Platform) -> Mapping[Pin, Path]:
        self.asked += pins
        return {
            pin: path
            for pin in pins
            for path in self.folder.glob(f"{pin.name}-{pin.version}-*.whl")
            if not read_wheel(path).tags.isdisjoint(platform.tags)
        }


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


def edge(tmp_path: Path, *requires: str, extras: Sequence[str] = ()) -> dict[str, Wheel]:
    wheel = read_wheel(
        make_wheel(tmp_path / str(abs(hash(requires))), "edge", requires=requires, extras=extras)
    )
    return {"edge": wheel}


def pinned(*names: str) -> dict[str, Pin]:
    return {name: Pin(name, "1.0") for name in names}


def closed(own, shelf, root="edge", platform=HERE, pins=None):
    everything = pinned("top", "deep", "arm", "new", "ui")
    return resolve([root], platform, own=own, pins=pins or everything, source=shelf)


def test_what_is_required_by_what_is_required_comes_too(tmp_path, shelf):
    make_wheel(shelf.folder, "top", requires=["Deep>=0.5"])
    make_wheel(shelf.folder, "deep")

    closure = closed(edge(tmp_path, "top"), shelf)

    assert sorted(closure.wheels) == ["deep", "edge", "top"]
    assert closure.edges == {"edge": {"top"}, "top": {"deep"}}
    assert closure.missing == []


def test_our_own_wheels_are_never_asked_of_the_index(tmp_path, shelf):
    make_wheel(shelf.folder, "edge")

    closed(edge(tmp_path), shelf)

    assert shelf.asked == []


@pytest.mark.parametrize(
    ("platform", "names"), [(HERE, {"edge"}), (JETSON, {"edge", "arm", "new"})]
)
def test_markers_are_the_devices_not_this_machines(tmp_path, shelf, platform, names):
    make_wheel(shelf.folder, "arm")
    make_wheel(shelf.folder, "new")
    own = edge(
        tmp_path, "arm; platform_machine == 'aarch64'", "new; python_full_version >= '3.12.0'"
    )

    assert set(closed(own, shelf, platform=platform).wheels) == names


def test_an_extra_brings_its_packages_only_when_it_is_asked_for(tmp_path, shelf):
    make_wheel(shelf.folder, "ui")
    own = edge(tmp_path, "ui; extra == 'console'", extras=["console"])

    assert set(closed(own, shelf).wheels) == {"edge"}
    assert set(closed(own, shelf, "edge[console]").wheels) == {"edge", "ui"}


def test_an_extra_that_is_asked_for_late_is_followed(tmp_path, shelf):
    make_wheel(shelf.folder, "top", requires=["deep; extra == 'fast'"], extras=["fast"])
    make_wheel(shelf.folder, "ui", requires=["top[fast]"])
    make_wheel(shelf.folder, "deep")

    assert "deep" in closed(edge(tmp_path, "top", "ui"), shelf).wheels


def test_an_extra_that_does_not_exist_is_refused(tmp_path, shelf):
    with pytest.raises(PinError, match=r"edge 1\.0 has no extra nothing"):
        closed(edge(tmp_path), shelf, "edge[nothing]")


def test_every_package_without_a_wheel_is_named_not_only_the_first(tmp_path, shelf):
    make_wheel(shelf.folder, "top", tag="cp311-cp311-manylinux_2_28_x86_64", requires=["deep"])
    own = edge(tmp_path, "top", "ui")

    assert [str(pin) for pin in closed(own, shelf).missing] == ["ui==1.0", "deep==1.0"]
    assert [str(p) for p in closed(own, shelf, platform=JETSON).missing] == ["top==1.0", "ui==1.0"]


def test_a_package_without_a_pin_is_refused(tmp_path, shelf):
    with pytest.raises(PinError, match=r"top: needed on a device, not pinned"):
        closed(edge(tmp_path, "top"), shelf, pins=pinned("ui"))


def test_a_pin_that_its_user_does_not_allow_is_refused(tmp_path, shelf):
    with pytest.raises(PinError, match=r"top==1\.0 in constraints\.txt, but edge wants top>=2"):
        closed(edge(tmp_path, "top>=2"), shelf)


def test_a_wheel_for_another_platform_is_refused_wherever_it_comes_from(tmp_path):
    class Careless:
        def bring(self, pins, platform):
            path = make_wheel(tmp_path, "top", tag="cp311-cp311-manylinux_2_39_x86_64")
            return {pins[0]: path}

    with pytest.raises(WheelError, match=r"top-1\.0.*not for 3\.11-x86_64"):
        closed(edge(tmp_path, "top"), Careless())


def test_pins_are_read_by_canonical_name(tmp_path):
    (tmp_path / "constraints.txt").write_text("# every package\nTyping_Extensions==4.1\n\na==1\n")

    pins = read_pins(tmp_path / "constraints.txt")

    assert pins == {"typing-extensions": Pin("typing-extensions", "4.1"), "a": Pin("a", "1")}


def test_a_line_that_is_no_pin_is_named(tmp_path):
    (tmp_path / "constraints.txt").write_text("a==1\nb>=2\n")

    with pytest.raises(PinError, match=r"constraints\.txt:2: 'b>=2' is no name==version"):
        read_pins(tmp_path / "constraints.txt")


@pytest.mark.parametrize("content", [b"", b"no zip at all"])
def test_a_file_that_is_no_wheel_is_named(tmp_path, content):
    path = tmp_path / "top-1.0-py3-none-any.whl"
    path.write_bytes(content)

    with pytest.raises(WheelError, match=r"top-1\.0-py3-none-any\.whl: no wheel"):
        read_wheel(path)
