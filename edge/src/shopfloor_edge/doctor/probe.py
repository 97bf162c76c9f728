"""What runs in the child: load one build on one runtime and run it, or look for decoders.

The last line of standard output is one JSON object.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import time
from typing import Any

import numpy as np

from shopfloor_edge.cameras.templates import choose_platform
from shopfloor_edge.errors import BackendUnavailableError, EdgeError
from shopfloor_edge.inference.choose import CANDIDATES, Candidate
from shopfloor_edge.inference.motion import PREPROCESS, MotionBackend
from shopfloor_edge.inference.ports import InferenceBackend
from shopfloor_edge.inference.zoo import find_manifest, resolve

RUNS = 12
WANTED = ("person",)
DECODERS = {
    "H.264": ("nvv4l2decoder", "vah264dec", "vpudec", "v4l2h264dec", "avdec_h264", "openh264dec"),
    "H.265": ("nvv4l2decoder", "vah265dec", "vpudec", "v4l2h265dec", "avdec_h265", "libde265dec"),
    "MJPEG": ("vajpegdec", "jpegdec", "avdec_mjpeg"),
}


def try_backend(bundle: str, runtime: str, target: str) -> dict[str, object]:
    """Return ``ms``, the median time of one picture, or ``absent`` or ``broken`` with a reason."""
    try:
        if runtime == "motion":
            size = (1, PREPROCESS.height_px, PREPROCESS.width_px, 3)
            return {"ms": _median_ms(MotionBackend(), size)}
        candidate = next(c for c in CANDIDATES if (c.runtime, c.target) == (runtime, target))
        return _try_candidate(candidate, bundle)
    except BackendUnavailableError as e:
        return {"absent": e.reason, "extra": e.extra}
    except EdgeError as e:
        return {"broken": str(e)}


def find_decoders() -> dict[str, object]:
    """Return elements by codec, the platform that would be used, and why not a faster one."""
    try:
        gi: Any = importlib.import_module("gi")
        gi.require_version("Gst", "1.0")
        gst: Any = importlib.import_module("gi.repository.Gst")
    except (ImportError, ValueError) as e:
        return {"absent": str(e)}
    gst.init(None)

    def is_installed(name: str) -> bool:
        return gst.ElementFactory.find(name) is not None

    choice = choose_platform(is_installed)
    return {
        "version": gst.version_string(),
        "platform": choice.platform.name,
        "fallback": choice.fallback,
        "codecs": {
            codec: [name for name in names if is_installed(name)]
            for codec, names in DECODERS.items()
        },
    }


def _try_candidate(candidate: Candidate, bundle: str) -> dict[str, object]:
    if candidate.probe is not None:
        candidate.probe()
    manifest = find_manifest(bundle)
    build = manifest.build_for(candidate.target)
    if build is None:
        return {"absent": f"bundle {bundle} has no build {candidate.target}"}
    path = resolve(build, download=False)
    backend = candidate.load(manifest, path, wanted=WANTED, threads=1, build=build)
    size = (1, manifest.preprocess.height_px, manifest.preprocess.width_px, 3)
    return {"ms": _median_ms(backend, size)}


def _median_ms(backend: InferenceBackend, size: tuple[int, int, int, int]) -> float:
    random = np.random.default_rng(0)
    picture = random.integers(0, 255, size, np.uint8)
    taken_ms = []
    backend.warmup()
    for _ in range(RUNS):
        started_s = time.perf_counter()
        backend.infer(picture)
        taken_ms.append(1e3 * (time.perf_counter() - started_s))
    return round(statistics.median(taken_ms), 1)


def main(arguments: list[str]) -> int:
    """Run the probe that ``arguments`` name."""
    what, *rest = arguments
    answer = find_decoders() if what == "decoders" else try_backend(*rest)
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
