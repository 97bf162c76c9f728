"""``shopfloor-models``: from pictures to a bundle."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from shopfloor_contracts.errors import ContractError
from shopfloor_models import commands
from shopfloor_models.delivery import WRITERS
from shopfloor_models.errors import ModelsError
from shopfloor_models.training.ports import TRAINERS

EXAMPLES = """examples:
  shopfloor-models data frames --footage videos/ --out frames/ --every 2
  shopfloor-models label --footage frames/ --teacher yolox-nano --class person --out labelled/
  shopfloor-models data check my.toml
  shopfloor-models train --data my.toml --out runs/first --epochs 30
  shopfloor-models specialise --footage videos/ --teacher yolox-nano --out runs/site
  shopfloor-models inspect runs/first/my-shop-1.bundle

A killed training goes on when the same command is given again.
exit codes: 0 done, 1 our fault, 2 something that you can mend
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every command; the docs are tested against it."""
    parser = argparse.ArgumentParser(
        prog="shopfloor-models",
        description="Make detectors for your cameras: data, training, export, bundles.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_data(verbs.add_parser("data", help="check a dataset, show its splits, take frames"))
    label = verbs.add_parser("label", help="let a teacher label pictures or recordings")
    _add_footage(label)
    label.set_defaults(run=commands.label)
    train = verbs.add_parser("train", help="train on a dataset file, ends in a bundle")
    train.add_argument("--data", type=Path, required=True, metavar="TOML", help="dataset file")
    train.add_argument("--out", type=Path, required=True, help="folder of the run")
    _add_training(train)
    train.set_defaults(run=commands.train)
    special = verbs.add_parser("specialise", help="teacher labels footage, student learns")
    _add_footage(special)
    _add_training(special)
    special.set_defaults(run=commands.specialise)
    inspect = verbs.add_parser("inspect", help="show what a bundle holds")
    inspect.add_argument("bundle", type=Path, help="a bundle, or its unpacked folder")
    inspect.add_argument("--json", action="store_true", help="print the manifest")
    inspect.set_defaults(run=commands.inspect)
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    check = verbs.add_parser("check", help="name everything that is wrong, one line each")
    check.add_argument("data", type=Path, metavar="TOML")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    check.set_defaults(run=commands.data_check)
    split = verbs.add_parser("split", help="show scenes, and which split each is in")
    split.add_argument("data", type=Path, metavar="TOML")
    split.add_argument("--coco", type=Path, metavar="DIR", help="write train.json and val.json")
    split.set_defaults(run=commands.data_split)
    frames = verbs.add_parser("frames", help="take frames from recordings")
    frames.add_argument("--footage", type=Path, required=True, help="a video, or a folder")
    frames.add_argument("--out", type=Path, required=True)
    frames.add_argument("--every", type=float, default=2.0, metavar="SECONDS")
    frames.set_defaults(run=commands.data_frames)


def _add_footage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--footage", type=Path, required=True, help="videos or pictures")
    parser.add_argument(
        "--teacher",
        action="append",
        required=True,
        metavar="NAME|ONNX|DIR",
        help="a zoo name, an ONNX that a manifest lists, a bundle's folder; two must agree",
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--class", dest="classes", action="append", help="default: person")
    parser.add_argument("--every", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument("--sure", type=float, default=0.45, help="a label from this score")
    parser.add_argument("--ignore", type=float, default=0.15, help="nothing below this score")


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--epochs", type=_positive, default=30)
    parser.add_argument("--input", type=_size, default=(352, 256), metavar="WxH")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=_positive, default=2)
    parser.add_argument(
        "--inherit",
        metavar="NAME|ONNX|none",
        help="weights to begin with; default: the teacher's, person-nano's or yolox-nano's",
    )
    parser.add_argument("--trainer", choices=sorted(TRAINERS), default="yolox")
    parser.add_argument(
        "--target", default="onnx-fp32", help=f"separated by commas: {', '.join(WRITERS)}"
    )


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
        sys.stderr.write(f"shopfloor-models: {e.filename or 'disk'}: {e.strerror or e}\n")
        return 2
    except Exception:  # noqa: BLE001 — outermost loop: nothing may end without a trace
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main())
