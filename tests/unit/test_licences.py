"""What a device or a service is installed with may be shipped by anyone, to anyone.

Two checks over the dependency closure of every installed ``shopfloor-*`` distribution, without our
own extras (training lives in one): the licence that a distribution states, and the libraries that
its wheel carries, which its metadata does not mention.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REFUSED = re.compile(
    r"""
    \bAGPL | \bAffero | \bSSPL | Server\ Side\ Public | \bBUSL | Business\ Source
    | \bBSL\b(?!-1\.0) | non-?\ ?commercial | \bCC-BY-NC | \bGPL | (?<!Lesser\ )General\ Public
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""LGPL passes: its libraries are linked dynamically. BSL-1.0 is Boost's, not Business Source."""

GPL_LIBRARIES = re.compile(r"\blib(x264|x265|postproc|xvidcore|vidstab|rubberband)\b")
"""Codecs and filters that are GPL, and are found inside wheels whose own code is not."""

REVIEWED = {
    # The licence field is the whole LICENSE.txt: BSD-3-Clause, and libgfortran's GPL-3.0 with the
    # GCC runtime library exception, which lets any program be linked with it.
    "scipy": "BSD-3-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1",
    # Its metadata names a file only, which is the MIT licence.
    "pyrage": "MIT",
}
"""Read by a person; name and what was found."""


def closure(roots: Iterable[str], installed: dict[str, Distribution]) -> dict[str, Distribution]:
    """Return what ``roots`` are installed with, by canonical name.

    Extras of a root are not followed; extras that a requirement asks for are.
    """
    found: dict[str, Distribution] = {}
    waiting = [(canonicalize_name(root), "") for root in roots]
    seen = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        if name not in installed:
            continue  # of another platform, or its distribution is not installed here
        found[name] = installed[name]
        for needed in required_by(installed[name], extra):
            if needed not in seen:
                seen.add(needed)
                waiting.append(needed)
    return found


def required_by(distribution: Distribution, extra: str) -> Iterator[tuple[str, str]]:
    for line in distribution.requires or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            name = canonicalize_name(requirement.name)
            yield name, ""
            yield from ((name, asked) for asked in requirement.extras)


def stated_licences(distribution: Distribution) -> list[str]:
    """Return what the metadata says, in the order of its worth: expression, field, classifiers."""
    metadata = distribution.metadata
    classifiers = metadata.get_all("Classifier") or []
    stated = [
        *(metadata.get_all("License-Expression") or []),
        *(metadata.get_all("License") or []),
        *(c.removeprefix("License :: ") for c in classifiers if c.startswith("License :: ")),
    ]
    return [text for text in stated if text.strip().upper() not in ("", "UNKNOWN", "OTHER")]


def objections(found: dict[str, Distribution]) -> list[str]:
    """Return one line per reason why a distribution of ``found`` may not be shipped."""
    lines = []
    for name, distribution in sorted(found.items()):
        stated = stated_licences(distribution)
        refused = [match for match in map(REFUSED.search, stated) if match]
        if not stated and name not in REVIEWED:
            lines.append(f"{name}: states no licence")
        elif refused and name not in REVIEWED:
            lines.append(f"{name}: its licence says {refused[0].group()!r}")
        carried = {match for file in distribution.files or [] if (match := gpl_library(file.name))}
        lines += [
            f"{name}: its wheel carries {library}, which is GPL" for library in sorted(carried)
        ]
    return lines


def gpl_library(file: str) -> str | None:
    match = GPL_LIBRARIES.search(file)
    return match.group() if match else None


def by_name(found: Iterable[Distribution]) -> dict[str, Distribution]:
    return {canonicalize_name(distribution.name): distribution for distribution in found}


def plant(folder: Path, name: str, *metadata: str, files: Iterable[str] = ()) -> None:
    """Write a distribution that is installed in ``folder`` as far as its metadata goes."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *metadata]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


def objections_in(folder: Path) -> list[str]:
    return objections(closure(["shopfloor-planted"], by_name(distributions(path=[str(folder)]))))


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    plant(
        tmp_path,
        "shopfloor-planted",
        "License-Expression: Apache-2.0",
        "Requires-Dist: middle[fast]",
        'Requires-Dist: trainer; extra == "train"',
    )
    plant(tmp_path, "middle", "License: MIT", 'Requires-Dist: Deep_Down; extra == "fast"')
    plant(tmp_path, "trainer", "License-Expression: AGPL-3.0-only")
    return tmp_path


INSTALLED = by_name(distributions())
OURS = sorted(name for name in INSTALLED if name.startswith("shopfloor-"))


def test_our_distributions_are_installed_here():
    assert "shopfloor-contracts" in OURS


@pytest.mark.parametrize("ours", OURS)
def test_nothing_that_a_distribution_is_installed_with_has_a_licence_we_refuse(ours):
    assert objections(closure([ours], INSTALLED)) == []


def test_our_own_distributions_are_apache_licensed():
    assert {stated_licences(INSTALLED[name])[0] for name in OURS} == {"Apache-2.0"}


def test_a_review_is_of_a_distribution_that_needs_it():
    for name in REVIEWED.keys() & INSTALLED.keys():
        stated = stated_licences(INSTALLED[name])
        assert not stated or any(REFUSED.search(text) for text in stated), name


@pytest.mark.parametrize(
    "licence",
    [
        "License-Expression: AGPL-3.0-only",
        "License: GNU AFFERO GENERAL PUBLIC LICENSE Version 3",
        "License-Expression: MIT AND SSPL-1.0",
        "License-Expression: BUSL-1.1",
        "License: BSL 1.1",
        "License: Business Source License 1.1",
        "License: free for non-commercial use",
        "License-Expression: CC-BY-NC-4.0",
        "License-Expression: GPL-3.0-or-later",
        "License: GPLv2",
        "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
        "Classifier: License :: OSI Approved :: GNU Affero General Public License v3",
    ],
)
def test_a_planted_distribution_with_a_refused_licence_is_caught(planted, licence):
    plant(planted, "deep-down", licence)

    [objection] = objections_in(planted)

    assert objection.startswith("deep-down: its licence says ")


@pytest.mark.parametrize(
    "licence",
    [
        "License-Expression: Apache-2.0 OR BSD-2-Clause",
        "License-Expression: LGPL-2.1-or-later",
        "License-Expression: BSL-1.0",
        "License-Expression: MPL-2.0",
        "License: LGPLv3+",
        "Classifier: License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)",
    ],
)
def test_a_planted_distribution_with_a_permissive_or_lesser_licence_passes(planted, licence):
    plant(planted, "deep-down", licence)

    assert objections_in(planted) == []


@pytest.mark.parametrize("licence", ["Summary: none", "License: UNKNOWN", "License:  "])
def test_a_planted_distribution_without_a_licence_is_named(planted, licence):
    plant(planted, "deep-down", licence)

    assert objections_in(planted) == ["deep-down: states no licence"]


def test_a_gpl_codec_inside_a_permissive_wheel_is_caught(planted):
    files = ["deep_down.libs/libx264-d6533a8d.so.165", "deep_down.libs/libavcodec-5e6b.so.62"]
    plant(planted, "deep-down", "License: BSD-3-Clause", files=files)

    assert objections_in(planted) == ["deep-down: its wheel carries libx264, which is GPL"]


def test_an_extra_of_ours_is_not_what_a_device_gets(planted):
    plant(planted, "deep-down", "License: MIT")

    assert objections_in(planted) == []
