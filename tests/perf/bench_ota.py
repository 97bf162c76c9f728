"""Deltas beside generic tools on real pairs, and a device's refresh among 10,000 targets.

Pairs: detectors fine-tuned by ``ota_training.py`` (as bundles), silero-vad 5.1 → 6.2.3 from its
wheels, person-nano's weights beside those it began with. HDiffPatch is compared where its wheel is
installed. Writes ``var/bench/ota.json``; ``refresh_ms`` is the median of a new client whose
metadata is on its disk: timestamp, root and one lookup over loopback.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import bsdiff4
from tuf.api.metadata import Metadata, TargetFile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes.tuf_site import TufSite
from shopfloor_contracts.deltas import apply_delta
from shopfloor_registry.delta.encoders import best_delta
from shopfloor_registry.trust.signing import sign

REPORT = Path("var/bench/ota.json")
PAIRS, WHEELS = Path("var/bench/ota-pairs"), Path("var/bench/ota-wheels")
ZOO = Path("models/zoo/person-nano/person-nano-fp32.onnx")
TARGETS, ROUNDS = 10_000, 30
KINDS = ("onnx-fp32.bundle", "onnx-int8.bundle", "fp16.onnx")


def pairs(folder: Path, mirror: Path) -> Iterator[tuple[str, Path, Path]]:
    """Yield name, base and result of every pair that is here."""
    for tuned in ("all-weights", "gentle", "head-only"):
        for kind in KINDS:
            base, result = PAIRS / f"base.{kind}", PAIRS / f"{tuned}.{kind}"
            if base.exists() and result.exists():
                yield f"fine-tune {tuned}, {kind.split('.')[0]}", base, result
    wheels = [sorted(WHEELS.glob(f"silero_vad-{version}*.whl")) for version in ("5", "6")]
    if all(wheels):
        files = []
        for found in wheels:
            target = folder / f"{found[0].stem}.onnx"
            with zipfile.ZipFile(found[0]) as archive:
                target.write_bytes(archive.read("silero_vad/data/silero_vad.onnx"))
            files.append(target)
        yield "silero-vad 5.1 to 6.2.3", files[0], files[1]
    parent = mirror / "models" / "yolox_nano.onnx"
    if parent.exists():
        yield "yolox-nano to person-nano", parent, ZOO


def generic(base: bytes, result: bytes) -> dict[str, int]:
    """Return the size that each generic tool that is installed needs."""
    sizes = {"bsdiff4": len(bsdiff4.diff(base, result))}
    if importlib.util.find_spec("hdiffpatch"):
        tool = importlib.import_module("hdiffpatch")
        for kind in ("zstd", "lzma2"):
            sizes[f"hdiffpatch {kind}"] = len(tool.diff(base, result, kind))
    return sizes


def compare(name: str, base: Path, result: Path, folder: Path) -> dict[str, object]:
    """Return one pair's row."""
    sizes = generic(base.read_bytes(), result.read_bytes())
    full = result.stat().st_size
    best = best_delta(base, result)
    assert best is not None, name
    sizes |= {f"{tool}": size for tool, size in best.sizes.items() if tool.startswith("zstd")}
    (folder / "delta").write_bytes(best.content)
    started_s = time.perf_counter()
    apply_delta(base, folder / "delta", folder / "out")
    tool = min(sizes, key=lambda name: sizes[name])
    row = {
        "name": name,
        "full_bytes": full,
        "best_generic_bytes": sizes[tool],
        "best_generic": tool,
        "ours_bytes": len(best.content),
        "encoder": best.encoder,
        "ratio": round(len(best.content) / sizes[tool], 3),
        "decode_ms": round(1000 * (time.perf_counter() - started_s)),
    }
    print(
        f"{name:36} {full:10,} {sizes[tool]:10,} {tool:17} {len(best.content):10,}"
        f" {best.encoder:10} {row['ratio']:6} {row['decode_ms']:6} ms",
        flush=True,
    )
    return row


def fill(site: TufSite, now: datetime) -> None:
    """List ``TARGETS`` targets, signed as ever, without writing their files."""
    chain = site.repository.chain
    bins = {role: deepcopy(chain.bin(role).signed) for role in chain.delegated().get_roles()}
    for number in range(TARGETS):
        path = f"model/m{number}/1/onnx-fp32"
        role = bins[chain.delegated().get_role_for_target(path)]
        custom = {"kind": "model", "name": f"m{number}", "version": "1", "hardware": ["any"]}
        role.targets[path] = TargetFile(1, {"sha256": "0" * 64}, path, {"custom": custom})
    for role in bins.values():
        role.version += 1
    documents = {role: Metadata(signed).to_bytes() for role, signed in bins.items()}
    site.repository.stage_documents(documents)
    site.repository.accept([sign(each, site.keys) for each in documents.values()], now=now)


def refresh(folder: Path) -> tuple[float, float]:
    """Return milliseconds of a warm refresh with a lookup, and of one just after a publication."""
    now = datetime.now(UTC).replace(microsecond=0)
    site = TufSite(folder, now=now)
    fill(site, now)
    took: dict[bool, list[float]] = {False: [], True: []}
    with site.served() as address:
        site.device(address).get_targetinfo("model/m7/1/onnx-fp32")
        for number in range(2 * ROUNDS):
            news = number >= ROUNDS
            if news:
                site.repository.publish(now=now)
            started_s = time.perf_counter()
            found = site.device(address).get_targetinfo("model/m7/1/onnx-fp32")
            took[news].append(1000 * (time.perf_counter() - started_s))
            assert found is not None
    return statistics.median(took[False]), statistics.median(took[True])


def main() -> int:
    """Measure, print and write; 1 when a delta is larger than the best generic one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mirror", type=Path, default=Path("../shared"))
    arguments = parser.parse_args()
    print(_machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm, news = refresh(folder / "tuf")
        print(f"refresh and lookup among {TARGETS:,}: {warm:.0f} ms, after news {news:.0f} ms")
        rows = [compare(*pair, folder) for pair in pairs(folder, arguments.mirror)]
    figures = {
        "machine": _machine(),
        "targets": TARGETS,
        "refresh_ms": round(warm, 1),
        "refresh_after_news_ms": round(news, 1),
        "pairs": rows,
    }
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(figures, indent=2) + "\n")
    return int(any(row["ours_bytes"] > row["best_generic_bytes"] for row in rows))


def _machine() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.machine()}, {os.cpu_count()} cores"


if __name__ == "__main__":
    sys.exit(main())
