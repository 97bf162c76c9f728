"""The whole command, with real pip, over an index that is a folder of tiny wheels."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from fakes.wheels import make_wheel
from shopfloor_provisioning.wheelhouse.app import main
from shopfloor_provisioning.wheelhouse.errors import CollectError
from shopfloor_provisioning.wheelhouse.own import build_own
from shopfloor_provisioning.wheelhouse.sbom import check_sbom

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "0.1.0"
license = "Apache-2.0"
requires-python = ">=3.11"
dependencies = [{dependencies}]

[project.optional-dependencies]
console = ["pages"]

[tool.hatch.build.targets.wheel]
packages = ["src/{package}"]
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A workspace with our two distributions, and an index beside it."""
    root = tmp_path / "checkout"
    for folder, name, needs in (
        ("services/contracts", "shopfloor-contracts", '"fast"'),
        ("edge", "shopfloor-edge", '"shopfloor-contracts", "arm; platform_machine == \'aarch64\'"'),
    ):
        package = name.replace("-", "_")
        source = root / folder / "src" / package
        source.mkdir(parents=True)
        (source / "__init__.py").write_text(f'"""{name}."""\n')
        text = PROJECT.format(name=name, package=package, dependencies=needs)
        (root / folder / "pyproject.toml").write_text(text)
    (root / "constraints.txt").write_text("arm==1.0\nfast==1.0\npages==1.0\n")
    index = tmp_path / "index"
    make_wheel(index, "arm")
    make_wheel(index, "pages", licence="BSD-3-Clause")
    for python in ("cp311", "cp312", "cp313"):
        for machine in ("x86_64", "aarch64"):
            make_wheel(index, "fast", tag=f"{python}-{python}-manylinux_2_28_{machine}")
    return root


def run(root: Path, *more: str) -> int:
    options = ["--no-index", "--find-links", str(root.parent / "index")]
    fixed = ["--root", str(root), "--into", str(root / "var/wheelhouse"), "--extras", "console"]
    return main([*fixed, *more, *[f"--pip={option}" for option in options]])


def names(root: Path, platform: str) -> list[str]:
    return sorted(p.name for p in (root / "var/wheelhouse" / platform).glob("*.whl"))


def test_each_platform_gets_its_wheels_with_digests_and_a_valid_bill(checkout, capsys):
    assert run(checkout, "--platform", "3.12") == 0

    assert names(checkout, "3.12-aarch64") == [
        "arm-1.0-py3-none-any.whl",
        "fast-1.0-cp312-cp312-manylinux_2_28_aarch64.whl",
        "pages-1.0-py3-none-any.whl",
        "shopfloor_contracts-0.1.0-py3-none-any.whl",
        "shopfloor_edge-0.1.0-py3-none-any.whl",
    ]
    assert "fast-1.0-cp312-cp312-manylinux_2_28_x86_64.whl" in names(checkout, "3.12-x86_64")
    assert not any(n.startswith("arm") for n in names(checkout, "3.12-x86_64"))
    folder = checkout / "var/wheelhouse/3.12-aarch64"
    sums = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert {name for _, name in sums} == {*names(checkout, "3.12-aarch64"), "sbom.cdx.json"}
    for digest, name in sums:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    bill = json.loads((folder / "sbom.cdx.json").read_text())
    assert bill["specVersion"] == "1.6"
    licences = {c["name"]: c["licenses"] for c in bill["components"]}
    assert licences["pages"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert re.search(r"^3\.12-aarch64 +5 ", capsys.readouterr().out, re.MULTILINE)


def test_files_are_stored_once_and_a_second_run_asks_nobody(checkout, capsys):
    run(checkout, "--platform", "3.12")
    shutil.rmtree(checkout.parent / "index")
    shared = checkout / "var/wheelhouse/pool/pages-1.0-py3-none-any.whl"
    assert shared.stat().st_nlink == 3  # stored once: the pool, and a name in each folder
    before = {p: p.stat().st_mtime_ns for p in (checkout / "var/wheelhouse/3.12-x86_64").iterdir()}

    assert run(checkout, "--platform", "3.12") == 0

    assert "0 downloaded; changed: nothing" in capsys.readouterr().out
    assert before == {
        p: p.stat().st_mtime_ns for p in (checkout / "var/wheelhouse/3.12-x86_64").iterdir()
    }


def test_what_has_no_wheel_for_a_promised_platform_is_named_at_once(checkout, capsys):
    index = checkout.parent / "index"
    (index / "fast-1.0-cp313-cp313-manylinux_2_28_aarch64.whl").unlink()
    (index / "arm-1.0-py3-none-any.whl").unlink()

    assert run(checkout, "--platform", "3.13") == 2

    complaints = capsys.readouterr().err.splitlines()
    assert complaints == [
        "wheelhouse: arm 1.0: no wheel for 3.13-aarch64 (glibc 2.36)",
        "wheelhouse: fast 1.0: no wheel for 3.13-aarch64 (glibc 2.36)",
    ]
    assert not (checkout / "var/wheelhouse/3.13-aarch64/SHA256SUMS").exists()


def test_a_wheel_that_carries_a_gpl_codec_is_not_taken_unasked(checkout, capsys):
    make_wheel(checkout.parent / "index", "pages", carries=["pages.libs/libx264-d6533a8d.so.165"])

    refused = run(checkout, "--platform", "3.12-x86_64")
    told = capsys.readouterr().err
    asked = run(checkout, "--platform", "3.12-x86_64", "--allow-gpl")

    assert (refused, asked) == (2, 0)
    assert "pages 1.0: its wheel carries libx264, which is GPL" in told


def test_a_new_pin_replaces_its_wheel_and_leaves_the_others(checkout, capsys):
    run(checkout, "--platform", "3.12-x86_64")
    make_wheel(checkout.parent / "index", "pages", "2.0")
    (checkout / "constraints.txt").write_text("arm==1.0\nfast==1.0\npages==2.0\n")

    assert run(checkout, "--platform", "3.12-x86_64") == 0

    assert "1 downloaded; changed: 3.12-x86_64" in capsys.readouterr().out
    assert [n for n in names(checkout, "3.12-x86_64") if n.startswith("pages")] == [
        "pages-2.0-py3-none-any.whl"
    ]
    assert not (checkout / "var/wheelhouse/pool/pages-1.0-py3-none-any.whl").exists()


def test_a_wheel_that_was_changed_in_the_pool_is_refused(checkout, capsys):
    run(checkout, "--platform", "3.12-x86_64")
    kept = checkout / "var/wheelhouse/pool/pages-1.0-py3-none-any.whl"
    kept.unlink()
    make_wheel(kept.parent, "pages", licence="BSD-2-Clause")

    assert run(checkout, "--platform", "3.12-x86_64") == 2

    assert "recorded was" in capsys.readouterr().err


def test_an_index_that_does_not_answer_is_worth_another_try(checkout, capsys):
    parsed = ["--root", str(checkout), "--into", str(checkout / "var/wheelhouse"), "--extras", ""]
    options = ["--index-url=http://127.0.0.1:9/simple", "--retries=1", "--timeout=1"]

    code = main([*parsed, "--platform", "3.12-x86_64", *[f"--pip={o}" for o in options]])

    assert code == 1
    assert "Connection refused" in capsys.readouterr().err


def test_the_same_tree_makes_the_same_wheel_bytes(checkout, tmp_path):
    elsewhere = shutil.copytree(checkout, tmp_path / "elsewhere/deeper")
    for path in elsewhere.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
        path.chmod(0o700 if path.is_dir() else 0o600)

    one = build_own(checkout, tmp_path / "one", ["edge"])
    other = build_own(elsewhere, tmp_path / "other", ["edge"])

    first, second = (built["shopfloor-edge"].path.read_bytes() for built in (one, other))
    assert first == second


def test_a_bill_that_breaks_the_schema_is_refused():
    with pytest.raises(CollectError, match=r"no CycloneDX 1\.6"):
        check_sbom('{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"name": 1}]}')
