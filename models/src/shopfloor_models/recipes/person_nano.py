"""``make train-person-nano``: the detector that a fresh clone runs.

YOLOX-nano's network and weights (Megvii, Apache-2.0), one class, at a rectangular input for
landscape cameras: half of the reference's cost. It learns, gently, from the mirror's pool of
people and, unless told otherwise, from the first 400 frames of ``vtest.avi`` as YOLOX-nano
labels them. Four epochs cost about four minutes on two cores.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress as Bar

from shopfloor_contracts.bundles import Build, DataSource, Head, Manifest, Preprocess, Provenance
from shopfloor_models.data.people import TEACHER_SCORE, load_pool
from shopfloor_models.data.samples import Sample
from shopfloor_models.errors import DataError, ModelsError
from shopfloor_models.export.onnx_fold import fold_file
from shopfloor_models.export.torch_onnx import export_network
from shopfloor_models.files import write_whole
from shopfloor_models.golden_choice import with_golden
from shopfloor_models.recipes.person_nano_figures import showable
from shopfloor_models.training.network import NetworkSpec
from shopfloor_models.training.teacher import OnnxTeacher, Teacher, find_model
from shopfloor_models.training.yolox import Progress, TrainSettings, train

NAME, VERSION = "person-nano", "1"
INPUT_PX = (352, 256)
EPOCHS = 4
LEARNING_RATE = 1e-5
KEEP_INHERITED = 0.75
"""Chosen on the pool's ``val`` among 0, .5, .75 and 1: AP .395, .429, .435 and .425."""
VTEST_FRAMES, VTEST_EVERY = 400, 2
"""Frames from 400 on are for measuring only."""
LONG_SIDE_PX = 416
TEACHER = "yolox-nano"


def footage_samples(clip: Path, teacher: Teacher, folder: Path) -> list[Sample]:
    """Write every second of the clip's first 400 frames to ``folder``, labelled by the teacher.

    Raises:
        DataError: the clip cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for number, frame in _frames(clip):
        path = folder / f"vtest_{number:04}.jpg"
        scale = LONG_SIDE_PX / max(frame.shape[:2])
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(path), small, [cv2.IMWRITE_JPEG_QUALITY, 92])
        boxes = _people_on(teacher, frame)
        classes = np.zeros(len(boxes), np.int64)
        samples.append(Sample(path, boxes, classes, "vtest.avi frames 0-399", "debian opencv-doc"))
    return samples


def _frames(clip: Path) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    capture = cv2.VideoCapture(str(clip))
    for number in range(VTEST_FRAMES):
        good, frame = capture.read()
        if not good:
            raise DataError(f"{clip}: frame {number} cannot be read")
        if number % VTEST_EVERY == 0:
            yield number, np.asarray(frame, np.uint8)
    capture.release()


def _people_on(teacher: Teacher, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the teacher's people as ``(N, 4)`` xyxy shares of the frame."""
    found = teacher.look(frame)
    people = found.boxes[[name == "person" for name in found.names]].reshape(-1, 4)
    height, width = frame.shape[:2]
    shares = people / np.array([width, height, width, height], np.float32)
    return shares.clip(0.0, 1.0).astype(np.float32)


def make(mirror: Path, out: Path, work: Path, *, with_footage: bool, epochs: int = EPOCHS) -> Path:
    """Train, export, write manifest, golden clip and build to ``out``; return the build.

    The manifest's figures come with ``make eval-person-nano``.

    Goes on from the checkpoint in ``work`` after an interruption.
    """
    samples = load_pool(mirror / "data" / "people", split="train")
    if with_footage:
        clip = mirror / "data" / "video" / "vtest.avi"
        known = OnnxTeacher(find_model(TEACHER), score_min=TEACHER_SCORE)
        samples += footage_samples(clip, known, work / "vtest")
    settings = TrainSettings(
        network=NetworkSpec(classes=1),
        input_px=INPUT_PX,
        epochs=epochs,
        learning_rate=LEARNING_RATE,
        inherit_from=mirror / "models" / "yolox_nano.onnx",
        inherit_classes=(0,),
        keep_inherited=KEEP_INHERITED,
    )
    with Bar() as bar:
        task = bar.add_task("training", total=epochs * (len(samples) // settings.batch))

        def tell(progress: Progress) -> None:
            text = f"epoch {progress.epoch + 1} of {epochs}, loss {progress.loss:.2f}"
            done = progress.epoch * progress.steps + progress.step + 1
            bar.update(task, completed=done, description=text)

        network = train(samples, settings, checkpoint=work / "checkpoint.pt", tell=tell)
    out.mkdir(parents=True, exist_ok=True)
    build = out / f"{NAME}-fp32.onnx"
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        export_network(network, INPUT_PX, plain)
        fold_file(plain, build)
    manifest = with_golden(
        _manifest(samples, build), out, showable(mirror / "data" / "people"), say=print
    )
    text = manifest.model_dump_json(indent=1) + "\n"
    write_whole(out / "manifest.json", text.encode())
    return build


def _manifest(samples: list[Sample], build: Path) -> Manifest:
    content = build.read_bytes()
    return Manifest(
        name=NAME,
        version=VERSION,
        task="detect",
        licence="Apache-2.0",
        source="Shopfloor, from YOLOX-nano by Megvii",
        classes=["person"],
        head=Head.YOLOX,
        preprocess=Preprocess(
            width_px=INPUT_PX[0],
            height_px=INPUT_PX[1],
            layout="nhwc-uint8",
            colour="bgr",
            letterbox="top-left",
        ),
        builds=[
            Build(
                target="onnx-fp32",
                file=build.name,
                sha256=hashlib.sha256(content).hexdigest(),
                size_bytes=len(content),
            )
        ],
        provenance=Provenance(
            recipe=f"person_nano: {EPOCHS} epochs at {LEARNING_RATE}, {KEEP_INHERITED} inherited",
            inherits="YOLOX-nano 0.1.1rc0, Megvii, Apache-2.0: all weights, person row of the head",
            data_sha256=_digest_of(samples),
            seed=1,
            sources=_sources(samples),
        ),
    )


def _digest_of(samples: list[Sample]) -> str:
    digests = sorted(hashlib.sha256(s.image.read_bytes()).hexdigest() for s in samples)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _sources(samples: list[Sample]) -> list[DataSource]:
    """Sum up by origin (the part of the source before the file) and licence class."""
    counted = Counter((s.source.split(":", 1)[0], s.licence_class) for s in samples)
    return [
        DataSource(
            name=name[:100],
            licence_class=licence,
            images=images,
            labels="people where complete, else YOLOX-nano",
        )
        for (name, licence), images in sorted(counted.items())
    ]


def main() -> int:
    """Run the recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mirror", type=Path, required=True, help="folder with data/ and models/")
    parser.add_argument("--out", type=Path, required=True, help="unpacked bundle")
    parser.add_argument("--work", type=Path, required=True, help="checkpoint; kept to go on later")
    parser.add_argument(
        "--without-footage", action="store_true", help="learn from no frame of vtest.avi"
    )
    arguments = parser.parse_args()
    try:
        build = make(
            arguments.mirror,
            arguments.out,
            arguments.work,
            with_footage=not arguments.without_footage,
        )
    except ModelsError as e:
        print(f"train-person-nano: {e}", file=sys.stderr)
        return 2
    print(build)
    return 0


if __name__ == "__main__":
    sys.exit(main())
