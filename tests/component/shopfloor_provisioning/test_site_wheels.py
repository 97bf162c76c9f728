"""Wheels out of a wheelhouse into an environment, with real pip and a real virtual environment."""

import hashlib
import zipfile
from pathlib import PurePosixPath

import pytest

from shopfloor_provisioning.errors import WheelhouseError
from shopfloor_provisioning.layout import Layout
from shopfloor_provisioning.machine import Address, connect
from shopfloor_provisioning.steps.software import Wheels
from shopfloor_provisioning.steps.system import device_folders
from shopfloor_provisioning.wheels import find_wheels

PLATFORM = "3.11-x86_64"


def write_wheel(folder, name, version, *requires):
    """Write a wheel with nothing but its metadata, as small as one can be."""
    info = f"{name}-{version}.dist-info"
    needs = [f"Requires-Dist: {line}" for line in requires]
    needs += ["Provides-Extra: console"] if requires else []
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *needs]
    tags = ["Wheel-Version: 1.0", "Root-Is-Purelib: true", "Tag: py3-none-any"]
    files = {
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "\n".join(tags) + "\n",
    }
    if name == "shopfloor_edge":
        files[f"{info}/entry_points.txt"] = "[console_scripts]\nshopfloor-edge = os:getcwd\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
        wheel.writestr(f"{info}/RECORD", record)


def seal(folder):
    lines = [
        f"{hashlib.sha256(w.read_bytes()).hexdigest()}  {w.name}" for w in folder.glob("*.whl")
    ]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")


@pytest.fixture
def wheelhouse(tmp_path):
    folder = tmp_path / "wheelhouse" / PLATFORM
    folder.mkdir(parents=True)
    write_wheel(folder, "shopfloor_edge", "0.1.0", "needed>=1", 'console_only; extra == "console"')
    write_wheel(folder, "needed", "1.2")
    write_wheel(folder, "not_needed", "9")
    seal(folder)
    find_wheels.cache_clear()
    return folder.parent


def find(wheelhouse, *extras):
    return find_wheels(wheelhouse, "3.11", "x86_64", extras)


def test_only_what_a_device_needs_is_taken(wheelhouse):
    found = find(wheelhouse / PLATFORM)  # as on a stick that has one platform only

    names = [wheel.path.name for wheel in found.wheels]
    assert names == ["needed-1.2-py3-none-any.whl", "shopfloor_edge-0.1.0-py3-none-any.whl"]
    assert found.version == "0.1.0"


def test_a_wheel_that_is_missing_is_named_before_a_device_is_touched(wheelhouse):
    with pytest.raises(WheelhouseError, match=r"console.only"):
        find(wheelhouse, "console")


def test_a_platform_that_is_missing_is_named_with_those_that_are_there(wheelhouse):
    with pytest.raises(
        WheelhouseError, match=r"no wheels for 3\.13-aarch64 \(there: 3\.11-x86_64\)"
    ):
        find_wheels(wheelhouse, "3.13", "aarch64", ())


@pytest.mark.attack("a damaged wheel in the wheelhouse")
def test_a_damaged_wheel_is_refused(wheelhouse):
    with (wheelhouse / PLATFORM / "needed-1.2-py3-none-any.whl").open("ab") as file:
        file.write(b"x")

    with pytest.raises(WheelhouseError, match="not what SHA256SUMS promises"):
        find(wheelhouse)


@pytest.mark.attack("sums that name another folder")
def test_sums_that_name_another_folder_are_refused(wheelhouse):
    sums = wheelhouse / PLATFORM / "SHA256SUMS"
    sums.write_text(sums.read_text().replace("  needed", "  ../needed"))

    with pytest.raises(WheelhouseError, match="is no digest and file name"):
        find(wheelhouse)


def test_a_half_installed_environment_is_replaced(wheelhouse, tmp_path):
    layout = Layout(PurePosixPath(tmp_path / "device"))
    machine = connect(Address("counter-1", "local"))
    step = Wheels(layout, find(wheelhouse), (), owned=False)
    device_folders(layout, owned=False, kept=True).do(machine)
    cut = tmp_path / "device/opt/shopfloor/app" / step.wanted.digest / "bin"
    cut.mkdir(parents=True)
    (cut / "python").symlink_to("/nowhere")
    assert "replace the half-installed environment" in step.look(machine)[0].what

    step.do(machine)

    assert step.look(machine) == []
    assert (tmp_path / "device/opt/shopfloor/current/bin/shopfloor-edge").exists()
    machine.close()


def test_an_environment_that_an_update_brought_stays(wheelhouse, tmp_path):
    layout = Layout(PurePosixPath(tmp_path / "device"))
    program = tmp_path / "device/opt/shopfloor/app/newer/bin/shopfloor-edge"
    program.parent.mkdir(parents=True)
    program.touch()
    (tmp_path / "device/opt/shopfloor/current").symlink_to("app/newer")
    machine = connect(Address("counter-1", "local"))

    assert Wheels(layout, find(wheelhouse), (), owned=False).look(machine) == []
    machine.close()
