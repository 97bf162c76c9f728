#!/usr/bin/env bash
# The training extra on top of `make setup`: torch and YOLOX on the CPU, pinned.
# Idempotent; a second run finds the stamp and ends at once. VENV=… names another environment.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${VENV:-.venv}
# torch stands alone; the others ask for far more than training needs.
steps=(
    "torch==2.13.0"
    "--no-deps torchvision==0.28.0"
    "--no-deps pixeltable-yolox==0.4.3"
    "--no-deps loguru==0.7.3 pillow==13.0.0 tabulate==0.10.0 tqdm==4.70.1 psutil==7.2.2"
)

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
die() { printf 'setup-training: %s\n' "$*" >&2; exit 2; }

stamp=$venv/.shopfloor-training
wanted=$(sha256sum <tools/setup-training.sh)
[[ -f $stamp && $(<"$stamp") == "$wanted" ]] && exit 0

[[ -x $venv/bin/python ]] || die "$venv is no virtual environment; run make setup first"
for step in "${steps[@]}"; do
    say "$step"
    # shellcheck disable=SC2086 — a step is several arguments
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check $step
done
printf '%s' "$wanted" >"$stamp"
say "ready: shopfloor-models train"
