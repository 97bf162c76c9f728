"""Does a student that learns its teacher's scores see better than one that learns only the boxes?

    python tests/perf/soft_scores.py --mirror ../shared --epochs 2 --seeds 1 2 3

Both learn from the same labels of YOLOX-nano, from its weights, with the same seeds. Held out:
``vtest.avi`` frames 400–794 against the truth, and the pool's validation pictures that people
labelled. Writes ``var/bench/soft-scores.json``. Wants torch: ``tools/setup-training.sh``.
"""

import argparse
import json
import os
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from shopfloor_contracts.bundles import Head, Preprocess
from shopfloor_models.data.people import COMPLETE, load_pool
from shopfloor_models.data.samples import Sample
from shopfloor_models.data.video import extract
from shopfloor_models.evaluation.coco import Labelled, accuracy
from shopfloor_models.evaluation.predict import BuildPredictor, Network
from shopfloor_models.export.letterbox import read_picture
from shopfloor_models.export.torch_onnx import export_network
from shopfloor_models.training.distil import Bands, label
from shopfloor_models.training.network import NetworkSpec
from shopfloor_models.training.ports import GENTLE_RATE
from shopfloor_models.training.teacher import OnnxTeacher, find_model
from shopfloor_models.training.yolox import TrainSettings, train

ROOT = Path(__file__).resolve().parents[2]
INPUT_PX = (352, 256)
TRAIN_FRAMES, HELD_OUT_EVERY = 400, 5
LEARN_EVERY_S = 0.2
POOL_EVERY = 5
FRAME_MS = 100


def footage(mirror: Path, work: Path) -> list[Sample]:
    """Label the frames that may be trained on."""
    pictures = extract(mirror / "data/video/vtest.avi", work / "frames", every_s=LEARN_EVERY_S)
    early = [path for path in pictures if int(path.stem[-8:]) < TRAIN_FRAMES * FRAME_MS]
    bands = Bands()
    teacher = OnnxTeacher(find_model("yolox-nano"), score_min=bands.ignore)
    return label(early, [teacher], ["person"], out=work / "labelled", bands=bands)


def held_out_footage(mirror: Path) -> list[Labelled]:
    """Read the later frames with their truth."""
    truth = np.loadtxt(mirror / "data/mot15/PETS09-S2L1/gt/gt.txt", delimiter=",")
    capture = cv2.VideoCapture(str(mirror / "data/video/vtest.avi"))
    found = []
    for number in range(795):
        good, frame = capture.read()
        if not good or number < TRAIN_FRAMES or number % HELD_OUT_EVERY:
            continue
        rows = truth[truth[:, 0] == number + 1]
        boxes = np.column_stack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]]) - 1
        kinds = np.zeros(len(boxes), np.int64)
        found.append(Labelled(str(number), np.asarray(frame), boxes.astype(np.float32), kinds))
    return found


def held_out_people(mirror: Path) -> list[Labelled]:
    samples = load_pool(mirror / "data/people", split="val")
    return [labelled(s) for s in samples if s.image.name.startswith(COMPLETE)]


def labelled(sample: Sample) -> Labelled:
    pixels = read_picture(sample.image)
    size = np.array([pixels.shape[1], pixels.shape[0]] * 2, np.float32)
    return Labelled(sample.image.name, pixels, sample.boxes * size, sample.classes)


def score(network: Path, pictures: Iterable[Labelled]) -> tuple[float, float]:
    """Return AP and AP50 of the class person."""
    spec = Preprocess(
        width_px=INPUT_PX[0],
        height_px=INPUT_PX[1],
        layout="nchw-float32",
        colour="bgr",
        letterbox="top-left",
    )
    predictor = BuildPredictor(network, Network(Head.YOLOX, spec))
    truth = list(pictures)
    found = accuracy(truth, predictor.predict([p.pixels for p in truth]), classes=[0])
    return found.ap, found.ap50


def learn(samples: list[Sample], options: argparse.Namespace, seed: int, soft: bool) -> Path:
    settings = TrainSettings(
        network=NetworkSpec(classes=1),
        input_px=INPUT_PX,
        epochs=options.epochs,
        learning_rate=GENTLE_RATE,
        warmup_ratio=0.3,
        seed=seed,
        threads=1,
        inherit_from=find_model("yolox-nano").path,
        inherit_classes=(0,),
        soft_scores=soft,
    )
    folder = Path(options.work) / f"{seed}-{'soft' if soft else 'hard'}"
    network = train(samples, settings, checkpoint=folder / "checkpoint.pt")
    path = folder / "network.onnx"
    export_network(network, INPUT_PX, path)
    return path


def compare(
    name: str, samples: list[Sample], options: argparse.Namespace
) -> list[dict[str, object]]:
    tests = {
        "vtest 400-794": held_out_footage(options.mirror),
        "pool val, people": held_out_people(options.mirror),
    }
    rows = []
    for seed in options.seeds:
        for soft in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                options.work = Path(folder)
                network = learn(samples, options, seed, soft)
                for held_out, pictures in tests.items():
                    ap, ap50 = score(network, pictures)
                    kind = "soft" if soft else "hard"
                    row = {"learnt": name, "labels": kind, "seed": seed, "on": held_out}
                    rows.append(row | {"ap": round(ap, 4), "ap50": round(ap50, 4)})
                    print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mirror", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)
    with tempfile.TemporaryDirectory() as folder:
        rows = compare("vtest 0-399", footage(options.mirror, Path(folder)), options)
    pool = load_pool(options.mirror / "data/people", split="train")
    taught = [s for s in pool if (s.label_scores() != 1).any()][::POOL_EVERY]
    rows += compare("pool, taught", taught, options)
    table = Table("learnt", "on", "labels", "AP, mean of seeds", "AP50", title="soft scores")
    for key in sorted({(r["learnt"], r["on"], r["labels"]) for r in rows}):
        same = [r for r in rows if (r["learnt"], r["on"], r["labels"]) == key]
        means = [np.mean([r[metric] for r in same]) for metric in ("ap", "ap50")]
        table.add_row(*map(str, key), *(f"{mean:.4f}" for mean in means))
    Console().print(table)
    out = ROOT / "var/bench/soft-scores.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    machine = {"cores": os.cpu_count(), "epochs": options.epochs}
    out.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
