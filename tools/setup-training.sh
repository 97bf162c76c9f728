#!/usr/bin/env bash
# The training extra on top of `make setup`: torch and YOLOX on the CPU, pinned.
# Idempotent; a second run finds the stamp and ends at once. VENV=… names another environment.
# TRAINER=ultralytics adds the AGPL-3.0 trainer, MLFLOW=1 the store of experiments.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${VENV:-.venv}
# torch stands alone; the others ask for far more than training needs.
steps=(
    "torch==2.13.0"
    "--no-deps torchvision==0.28.0"
    "--no-deps pixeltable-yolox==0.4.3"
    "--no-deps loguru==0.7.3 pillow==13.0.0 tabulate==0.10.0 tqdm==4.70.1 psutil==7.2.2"
    "-c constraints.txt ai-edge-litert flatbuffers"
)

if [[ ${TRAINER:-yolox} == ultralytics ]]; then
    # What it asks for and training here never loads is left out: polars, requests, its platform.
    steps+=(
        "--no-deps ultralytics-opencv-headless==8.4.190 pyyaml==6.0.3 matplotlib==3.11.2"
        "--no-deps contourpy==1.3.3 cycler==0.12.1 fonttools==4.68.0 kiwisolver==1.5.1"
        "--no-deps pyparsing==3.3.3 python-dateutil==4.0.0 six==1.17.0"
    )
fi
if [[ -n ${MLFLOW:-} ]]; then
    # First: pip complains of what the others leave out on purpose.
    steps=("-c constraints.txt mlflow-skinny alembic sqlalchemy" "${steps[@]}")
fi

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
die() { printf 'setup-training: %s\n' "$*" >&2; exit 2; }

stamp=$venv/.shopfloor-training
wanted="$(sha256sum <tools/setup-training.sh) ${steps[*]}"
[[ -f $stamp && $(<"$stamp") == "$wanted" ]] && exit 0

[[ -x $venv/bin/python ]] || die "$venv is no virtual environment; run make setup first"
for step in "${steps[@]}"; do
    say "$step"
    # shellcheck disable=SC2086 — a step is several arguments
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check $step
done
printf '%s' "$wanted" >"$stamp"
say "ready: shopfloor-models train"
