"""``make models``: the whole factory in small, on drawn figures: data to bundle in two minutes."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from shopfloor_models.errors import ModelsError
from shopfloor_models.main import main as command

PICTURES = 32
SIDE_PX = 128


def draw(folder: Path) -> Path:
    """Draw figures on noise, label them, and return the dataset file that names them."""
    random = np.random.default_rng(1)
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in range(PICTURES):
        image = random.integers(60, 200, (SIDE_PX, SIDE_PX, 3), np.uint8)
        x, height = int(random.integers(20, 100)), int(random.integers(40, 90))
        top, width = int(random.integers(5, 120 - height)), height // 3
        colour = random.integers(0, 60, 3).tolist()
        cv2.circle(image, (x, top + width // 3), width // 3, colour, -1)
        corner = (x - width // 2, top + 2 * width // 3)
        cv2.rectangle(image, corner, (x + width // 2, top + height), colour, -1)
        name = f"scene{number % 4}_{number:02d}"
        cv2.imwrite(str(folder / "images" / f"{name}.png"), image)
        box = np.array([x, top + height / 2, width, height]) / SIDE_PX
        line = " ".join(["0", *(f"{value:.5f}" for value in box)])
        (folder / "labels" / f"{name}.txt").write_text(f"{line}\n")
    path = folder / "figures.toml"
    path.write_text(
        'name = "figures"\nversion = "1"\nclasses = ["person"]\n\n[[sources]]\nname = "drawn"\n'
        'images = "images"\nlabels = "labels"\nlicence_class = "own"\nscene = "^(scene[0-9])_"\n'
    )
    return path


def steps(folder: Path) -> dict[str, Callable[[], int]]:
    """Return what is tried, in order; each gives a command's exit code."""
    data, out = folder / "data", folder / "run"
    train = ["train", "--data", str(data / "figures.toml"), "--out", str(out), "--epochs", "1"]
    small = ["--input", f"{SIDE_PX}x{SIDE_PX}", "--target", "cpu,coral,tensorrt"]
    bundle = str(out / "figures-1.bundle")
    return {
        "check": lambda: command(["data", "check", str(data / "figures.toml")]),
        "train to bundle": lambda: command([*train, *small, "--inherit", "none"]),
        "inspect": lambda: command(["inspect", bundle]),
        "verify": lambda: command(["verify", bundle]),
    }


def main() -> int:
    """Run every step and print a table; 1 when one fails."""
    console = Console()
    table = Table("step", "seconds", "result", title="model factory, in small")
    failed = False
    with tempfile.TemporaryDirectory(prefix="shopfloor-smoke-") as name:
        draw(Path(name) / "data")
        for step, run in steps(Path(name)).items():
            started_s = time.monotonic()
            try:
                code = run()
            except ModelsError as e:
                console.print(str(e), markup=False)
                code = 1
            failed |= code != 0
            result = "ok" if code == 0 else f"failed ({code})"
            table.add_row(step, f"{time.monotonic() - started_s:.1f}", result)
            if code:
                break
    console.print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
