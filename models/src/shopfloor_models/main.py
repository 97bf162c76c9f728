"""``shopfloor-models``: from pictures to a bundle."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from shopfloor_contracts.errors import ContractError
from shopfloor_models.commands import bundles, data, judging, one_class, training
from shopfloor_models.errors import ModelsError
from shopfloor_models.export.targets import ALIASES, TARGETS
from shopfloor_models.files import disk_reason
from shopfloor_models.gates import GATES_FILE
from shopfloor_models.training.network import WIDTHS, YOLOX_NANO
from shopfloor_models.training.ports import TRAINERS

EXAMPLES = """examples:
  shopfloor-models data frames --footage videos/ --out frames/ --every 2
  shopfloor-models label --footage frames/ --teacher yolox-nano --class person --out labelled/
  shopfloor-models data check my.toml
  shopfloor-models train --data my.toml --out runs/first --epochs 30
  shopfloor-models specialise --footage videos/ --teacher yolox-nano --out runs/site
  shopfloor-models one-class --good good/ --backbone yolox-nano --out runs/valve
  shopfloor-models export runs/first/network.onnx --target onnx-int8 --calibration frames/ --out b/
  shopfloor-models pack b/ --out my-shop-1.bundle
  shopfloor-models inspect runs/first/my-shop-1.bundle
  shopfloor-models verify runs/first/my-shop-1.bundle
  shopfloor-models evaluate runs/first/my-shop-1.bundle --data my.toml --report report.html
  shopfloor-models gate runs/first/my-shop-1.bundle --gates release --data my.toml

A killed training goes on when the same command is given again.
exit codes: 0 done, 1 our fault, 2 something that you can mend
"""


BUNDLE = "a bundle, its unpacked folder, or a name of the zoo"
if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 — no other name


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every command; the docs are tested against it."""
    parser = argparse.ArgumentParser(
        prog="shopfloor-models",
        description="Make detectors for your cameras: data, training, export, bundles.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_data(_verb(verbs, "data", "check a dataset, show its splits, take frames"))
    label = _verb(verbs, "label", "let a teacher label pictures or recordings")
    _add_footage(label)
    label.set_defaults(run=training.label)
    train = _verb(verbs, "train", "train on a dataset file, ends in a bundle")
    train.add_argument("--data", type=Path, required=True, metavar="TOML", help="dataset file")
    train.add_argument("--out", type=Path, required=True, help="folder of the run")
    _add_training(train)
    train.set_defaults(run=training.train)
    special = _verb(verbs, "specialise", "teacher labels footage, student learns")
    _add_footage(special)
    _add_training(special)
    special.set_defaults(run=training.specialise)
    _add_one_class(_verb(verbs, "one-class", "learn good parts, for an inspection judge"))
    _add_bundles(verbs)
    _add_judging(verbs)
    return parser


def _verb(verbs: Verbs, name: str, summary: str) -> argparse.ArgumentParser:
    """Return a command's parser; its help ends with the examples that begin with its name."""
    lines = [line for line in EXAMPLES.splitlines() if f"shopfloor-models {name} " in line]
    return verbs.add_parser(
        name,
        help=summary,
        description=summary,
        epilog="\n".join(["examples:", *lines]) if lines else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_one_class(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--good", type=Path, required=True, metavar="DIR", help="pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of the unpacked bundle")
    parser.add_argument(
        "--backbone", default="yolox-nano", metavar="NAME|BUNDLE", help="a detector to see with"
    )
    parser.add_argument("--patches", type=_positive, default=1000, help="that are remembered")
    parser.add_argument(
        "--reviewed", type=float, default=0.02, help="share of good parts that people may see"
    )
    parser.add_argument(
        "--failed", type=float, default=0.001, help="share of good parts that may be failed"
    )
    parser.add_argument("--name", help="of the bundle; default: the folder's")
    parser.add_argument("--licence", help="of the bundle, as SPDX names it; default: backbone's")
    parser.add_argument("--seed", type=int, default=1)
    parser.set_defaults(run=one_class.learn)


def _add_bundles(verbs: Verbs) -> None:
    inspect = _verb(verbs, "inspect", "show what a bundle holds")
    inspect.add_argument("bundle", help=BUNDLE)
    inspect.set_defaults(run=bundles.inspect)
    export = _verb(verbs, "export", "write builds of a plain network, and a manifest")
    export.add_argument("network", help="network.onnx of a run, another plain ONNX, a zoo name")
    export.add_argument("--out", type=Path, required=True, help="folder of the unpacked bundle")
    export.add_argument(
        "--calibration", type=Path, metavar="DIR", help="pictures for INT8 and the golden clip"
    )
    export.add_argument("--class", dest="classes", action="append", help="in the network's order")
    export.add_argument("--licence", help="of the weights, as SPDX names it")
    export.add_argument("--name", help="of the bundle; default: the run's or the file's")
    export.add_argument("--version", help="of the bundle; default: the run's, or 1")
    _add_target(export)
    export.set_defaults(run=bundles.export)
    pack = _verb(verbs, "pack", "make one file of a bundle's folder")
    pack.add_argument("folder", type=Path, help="with manifest.json and the files it names")
    pack.add_argument("--out", type=Path, help="default: NAME-VERSION.bundle here")
    pack.set_defaults(run=bundles.pack)
    verify = _verb(verbs, "verify", "check digests, and run the builds on the golden clip")
    verify.add_argument("bundle", help=BUNDLE)
    verify.set_defaults(run=bundles.verify)
    for parser in (inspect, export, pack, verify):
        parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_judging(verbs: Verbs) -> None:
    evaluate = _verb(verbs, "evaluate", "measure a bundle on a dataset")
    evaluate.add_argument("bundle", help=BUNDLE)
    evaluate.add_argument("--data", type=Path, required=True, metavar="TOML", help="dataset file")
    _add_pictures(evaluate)
    evaluate.add_argument(
        "--robustness", action="store_true", help="also on worse pictures: 18 times the work"
    )
    evaluate.add_argument("--report", type=Path, metavar="HTML", help="write a report with plots")
    evaluate.set_defaults(run=judging.evaluate)
    gate = _verb(verbs, "gate", "hold a bundle against a set of limits; exit 2 if it fails")
    gate.add_argument("bundle", help=BUNDLE)
    gate.add_argument("--gates", default="release", metavar="NAME", help="default: release")
    gate.add_argument("--file", type=Path, default=GATES_FILE, metavar="TOML")
    gate.add_argument(
        "--data", type=Path, metavar="TOML", help="measure there; default: the manifest's figures"
    )
    _add_pictures(gate)
    gate.set_defaults(run=judging.gate)


def _add_pictures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--split", choices=["val", "train"], default="val")
    parser.add_argument("--pictures", type=_positive, default=500, help="at most; default: 500")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_data(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    check = verbs.add_parser("check", help="name everything that is wrong, one line each")
    check.add_argument("data", type=Path, metavar="TOML")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    check.set_defaults(run=data.data_check)
    split = verbs.add_parser("split", help="show scenes, and which split each is in")
    split.add_argument("data", type=Path, metavar="TOML")
    split.add_argument("--coco", type=Path, metavar="DIR", help="write train.json and val.json")
    split.set_defaults(run=data.data_split)
    frames = verbs.add_parser("frames", help="take frames from recordings")
    frames.add_argument("--footage", type=Path, required=True, help="a video, or a folder")
    frames.add_argument("--out", type=Path, required=True)
    frames.add_argument("--every", type=float, default=2.0, metavar="SECONDS")
    frames.set_defaults(run=data.data_frames)


def _add_footage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--footage", type=Path, required=True, help="videos or pictures")
    parser.add_argument(
        "--teacher",
        action="append",
        required=True,
        metavar="NAME|ONNX|BUNDLE",
        help="a zoo name, an ONNX that a manifest lists, a bundle; two must agree",
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--class", dest="classes", action="append", help="default: person")
    parser.add_argument("--every", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument("--sure", type=float, default=0.45, help="a label from this score")
    parser.add_argument("--ignore", type=float, default=0.15, help="nothing below this score")
    parser.add_argument(
        "--tracks",
        action="store_true",
        help="let neighbouring frames confirm or doubt a box; wants --every 0.2 or less",
    )


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--epochs", type=_positive, default=30)
    parser.add_argument("--input", type=_size, default=(352, 256), metavar="WxH")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=_positive, default=2)
    parser.add_argument(
        "--inherit",
        metavar="NAME|ONNX|BUNDLE|none",
        help="weights to begin with; default: the teacher's, person-nano's or yolox-nano's; "
        "with --trainer ultralytics a .pt file, default none",
    )
    parser.add_argument(
        "--trainer",
        choices=sorted(TRAINERS),
        default="yolox",
        help="ultralytics is AGPL-3.0, and so is what it trains",
    )
    parser.add_argument(
        "--width",
        type=float,
        choices=WIDTHS,
        default=YOLOX_NANO,
        help="channels of a YOLOX network: 0.25 is nano; narrower is cheaper, and neither it nor "
        "a wider one can inherit weights",
    )
    parser.add_argument(
        "--soft-scores", action="store_true", help="learn how sure the teacher was, too"
    )
    parser.add_argument(
        "--mlflow", type=Path, metavar="DIR", help="also log into the MLflow store there"
    )
    parser.add_argument(
        "--no-golden",
        dest="golden",
        action="store_false",
        help="leave the clip of your own pictures out of the bundle",
    )
    _add_target(parser)


def _add_target(parser: argparse.ArgumentParser) -> None:
    known = ", ".join([*ALIASES, *TARGETS])
    parser.add_argument("--target", default="onnx-fp32", help=f"separated by commas: {known}")


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()) or int(width) % 32 or int(height) % 32:
        raise argparse.ArgumentTypeError(f"{text!r}, expected like 352x256, multiples of 32")
    if not (64 <= int(width) <= 2048 and 64 <= int(height) <= 2048):
        raise argparse.ArgumentTypeError(f"{text!r}, expected sides of 64 to 2048")
    return int(width), int(height)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number from 1")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the process' outermost loop."""
    options = build_parser().parse_args(arguments)
    try:
        return int(options.run(options, Console(), Console(stderr=True)))
    except (ModelsError, ContractError) as e:
        sys.stderr.write(f"shopfloor-models: {e}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("shopfloor-models: stopped; the same command goes on\n")
        return 130
    except OSError as e:
        # No space, no right: what a person can mend.
        place = Path(e.filename or getattr(options, "out", None) or ".")
        sys.stderr.write(f"shopfloor-models: {place}: {disk_reason(e, place)}\n")
        return 2
    except Exception:  # noqa: BLE001 — outermost loop: nothing may end without a trace
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main())
