# Every target is idempotent and works from a clean clone.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z][a-z0-9-]*\):.*/\1/p' Makefile)

PY := .venv/bin
# onnxruntime 1.29 and later report to their maker unless told not to.
export ORT_DISABLE_TELEMETRY := 1
SOURCES := $(wildcard services/*/src cloud/*/src) edge/src models/src dashboards/src

help: ## show the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

setup: ## install OS packages if missing, the venv and pinned dependencies
	@tools/setup.sh

demo: setup ## count people on real CCTV footage, end to end (CAMERA=… for your own, DEMO_SECONDS=…)
	@$(PY)/python -m shopfloor_demo

demo-inspection: setup ## a line of boards is judged, a burst of defects stops it: var/demo/inspection.json
	@$(PY)/python -m shopfloor_demo.inspection

test: setup ## run the tests (T=path narrows them)
	@$(PY)/python -m pytest -q -n auto --maxprocesses=4 $(T)

check: lint test ## the whole gate: formatting, types, import rules, dependencies, tests

lint: setup ## formatting, types, import rules, unused code and dependencies, generated documents
	$(PY)/ruff format --check .
	$(PY)/ruff check .
	$(PY)/mypy $(SOURCES)
	$(PY)/lint-imports --no-cache
	@for d in $(patsubst %/src,%,$(SOURCES)); do \
	  echo "deptry $$d" && (cd $$d && "$(CURDIR)/$(PY)/deptry" src) || exit 1; done
	$(PY)/vulture
	$(PY)/python -m shopfloor_contracts.documents docs/contracts --check

format: setup ## format the code and mend what can be mended
	@$(PY)/ruff format . && $(PY)/ruff check --fix .

contracts: setup ## write JSON Schema and AsyncAPI from the contracts
	@$(PY)/python -m shopfloor_contracts.documents docs/contracts

eval-traffic: setup ## crossings, head counts and dwell on real CCTV against ground truth (BUNDLE=person-nano, BACKEND=all)
	@$(PY)/python -m shopfloor_demo.evaluate --bundle $(or $(BUNDLE),yolox-nano) --backend $(or $(BACKEND),auto)

bench-ota: setup ## deltas beside generic tools, refresh among 10,000 targets: var/bench/ota.json (wants the mirror)
	@$(PY)/python tests/perf/bench_ota.py --mirror $(or $(SHOPFLOOR_MIRROR),../shared)

eval-shelf: setup ## what is taken from a shelf and put back, on real footage: var/eval/shelf.json (wants the mirror)
	@$(PY)/python -m shopfloor_demo.shelf --backend $(or $(BACKEND),auto)

models: setup ## train, export, quantise, gate and bundle on 32 drawn pictures, as a check of the factory
	@tools/setup-training.sh
	@$(PY)/python -W ignore -m shopfloor_models.smoke

eval-person-nano: setup ## the embedded detector beside YOLOX-nano: var/eval/person-nano.json
	@$(PY)/python -m shopfloor_demo.person_nano
	@$(PY)/python -m shopfloor_models.recipes.person_nano_figures --mirror $(or $(SHOPFLOOR_MIRROR),../shared)

eval-gates: setup ## known bad builds are refused: var/eval/gates.json (wants the mirror)
	@$(PY)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt ai-edge-litert
	@$(PY)/python -m shopfloor_models.gates

bench-models: setup ## what each kind of build costs and keeps: var/bench/models.json (wants the mirror)
	@$(PY)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt ai-edge-litert openvino
	@$(PY)/python -W ignore -m shopfloor_models.bench

bench-tracker: setup ## our tracker beside the trackers library's on MOT15: var/bench/tracker.json (wants the mirror)
	@test -e var/bench/peers/trackeval || $(PY)/python -m pip install --quiet --disable-pip-version-check \
	  --no-deps --target var/bench/peers -r tests/perf/trackers-requirements.txt \
	  -r tests/perf/tracker-bench-requirements.txt
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONPATH=var/bench/peers \
	  $(PY)/python -W ignore tests/perf/bench_tracker.py

bench-backends: setup ## what each runtime costs and keeps here: var/bench/backends.json (wants the mirror)
	@$(PY)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt ai-edge-litert openvino
	@OMP_NUM_THREADS=1 $(PY)/python tests/perf/bench_backends.py

bench-edge: setup ## CPU per camera beside a plain script and the floor: var/bench/edge.json (wants the mirror)
	@test -e var/bench/trackers/trackers || $(PY)/python -m pip install --quiet \
	  --disable-pip-version-check --no-deps --target var/bench/trackers \
	  -r tests/perf/trackers-requirements.txt
	@$(PY)/python tests/perf/bench_edge.py

bench-series: setup ## series that ingest exposes for 5,000 sites of 50 cameras: var/bench/series.json
	@$(PY)/python tests/perf/bench_series.py

bench-boards: setup ## what the boards over SQL ask of a PostgreSQL with 500 sites: var/bench/boards.json
	@$(PY)/python tests/perf/bench_boards.py

dashboards: setup ## write Grafana's dashboards from their code: dashboards/json
	@$(PY)/python -W ignore::DeprecationWarning -m shopfloor_dashboards.main dashboards/json

check-dashboards: setup ## dashboards, rules and runbooks: names, units, links, and data from a real Prometheus
	@test -e var/npm/node_modules/@grafana/schema || ! command -v npm >/dev/null || npm install --silent \
	  --prefix var/npm @grafana/schema@13.2.3 typescript@5.9.3 || echo "no types of Grafana at hand"
	@$(PY)/python -m pytest -q tests/unit/test_alerting.py tests/component/test_alertmanager_routes.py \
	  tests/unit/shopfloor_dashboards tests/component/shopfloor_dashboards

dashboards-push: setup ## bring a Grafana to what the files say (GRAFANA_URL=…, its token in GRAFANA_TOKEN, FLAGS=--dry-run)
	@$(PY)/python -m shopfloor_dashboards.push --url "$(GRAFANA_URL)" $(FLAGS)
cloud-up: setup ## start the cloud's parts here and wait until they are healthy (CLOUD=compose: in containers)
	@if [ "$(CLOUD)" = compose ]; then $(PY)/python -m shopfloor_stack.app compose up -d --build --wait; \
	  else $(PY)/python -m shopfloor_stack.app up; fi

cloud-down: setup ## end what cloud-up started; data stays (WIPE=1 removes it, CLOUD=compose)
	@if [ "$(CLOUD)" = compose ]; then $(PY)/python -m shopfloor_stack.app compose down; \
	  else $(PY)/python -m shopfloor_stack.app down $(if $(WIPE),--wipe); fi

cloud-status: setup ## every part of the cloud: state, address, log (CLOUD=compose)
	@if [ "$(CLOUD)" = compose ]; then $(PY)/python -m shopfloor_stack.app compose ps; \
	  else $(PY)/python -m shopfloor_stack.app status; fi

cloud-check: setup ## a camera dies, a webhook hears of it in less than a minute: var/e2e/cloud.json
	@$(PY)/python -m pytest -q -s tests/e2e/test_cloud_alert.py

train-person-nano: setup ## make the embedded detector again: about 4 minutes, wants SHOPFLOOR_MIRROR
	@tools/setup-training.sh
	@$(PY)/python -m shopfloor_models.recipes.person_nano --mirror $(or $(SHOPFLOOR_MIRROR),../shared) \
	  --work var/train/person-nano --out models/zoo/person-nano

bench-queries: setup ## what dashboards ask over 2 and 20 million events: var/bench/queries.json (10 GB; DATABASE=postgresql)
	@$(PY)/python tests/perf/bench_queries.py --database $(or $(DATABASE),sqlite)

bench-ingest: setup ## events per second and CPU per event into SQLite and PostgreSQL: var/bench/ingest.json (SECONDS=60)
	@$(PY)/python tests/perf/bench_ingest.py --seconds $(or $(SECONDS),60)

faults-camera: setup ## how soon a camera is seen again after each fault, and what leaks: var/bench/faults-camera.json
	@$(PY)/python tests/perf/faults_camera.py

faults-ota: setup ## updates killed at each step, broken, worse or forged: var/bench/faults-ota.json (POINTS=all, hours)
	@$(PY)/python tests/perf/faults_ota.py --points $(or $(POINTS),one) --jobs $(or $(JOBS),2)

bench-uplink: setup ## bytes per camera-day with every KPI, beside the video: var/bench/uplink.json (wants the mirror)
	@$(PY)/python tests/perf/bench_uplink.py

chaos-ingest: setup ## kill replicas, database and broker under load, then count: var/bench/chaos-ingest.json (SECONDS=120)
	@$(PY)/python tests/perf/chaos_ingest.py --seconds $(or $(SECONDS),120)
train-inspection: setup ## train the judge that names defects into var/train/inspection, not shipped: about 15 minutes (wants the mirror)
	@tools/setup-training.sh
	@$(PY)/python -m shopfloor_demo.pcb_windows --mirror $(or $(SHOPFLOOR_MIRROR),../shared) \
	  --out var/train/inspection/windows.npz
	@OMP_NUM_THREADS=1 $(PY)/python -m shopfloor_models.recipes.differences \
	  --windows var/train/inspection/windows.npz --out var/train/inspection/pcb-differences \
	  $(if $(shell grep -ow -m1 -e avx512_bf16 -e amx_bf16 /proc/cpuinfo 2>/dev/null),--half)

train-one-class: setup ## let the one-class judge learn DeepPCB's good boards, not shipped: a minute (wants the mirror)
	@$(PY)/python -m shopfloor_demo.pcb_good --mirror $(or $(SHOPFLOOR_MIRROR),../shared) \
	  --out var/train/inspection/pcb-good
	@OMP_NUM_THREADS=1 $(PY)/shopfloor-models one-class --good var/train/inspection/pcb-good \
	  --backbone yolox-nano --licence "research only" --out var/train/inspection/pcb-one-class

eval-inspection: setup ## what each judge finds on DeepPCB: var/eval/inspection.json and .png (wants the mirror)
	@OMP_NUM_THREADS=1 $(PY)/python tests/perf/eval_inspection.py

bench-inspection: setup ## parts per second of each judge on one core: var/bench/inspection.json (wants the mirror)
	@OMP_NUM_THREADS=1 $(PY)/python tests/perf/bench_inspection.py

sim-audits: setup ## how often the interval of an audit holds the truth: var/bench/audits.json
	@$(PY)/python tests/perf/sim_audits.py

sim-spc: setup ## simulated run lengths of the control charts beside computed ones: var/bench/spc.json
	@OMP_NUM_THREADS=1 $(PY)/python tests/perf/sim_spc.py

eval-sensors: setup ## a machine's temperature against NAB's windows: var/eval/sensors.json (wants the mirror)
	@OMP_NUM_THREADS=1 $(PY)/python tests/perf/eval_sensors.py

check-console: setup ## the staff's console in Chromium, with axe-core from npm where npm is at hand
	@test -e var/npm/node_modules/axe-core || ! command -v npm >/dev/null || npm install --silent \
	  --prefix var/npm axe-core@4.14.1 || echo "no axe-core at hand: our own checks only"
	@$(PY)/python -m pytest -q tests/component/shopfloor_edge/test_console_sign_in.py \
	  tests/component/shopfloor_edge/test_console_now.py tests/component/shopfloor_edge/test_console_browser.py \
	  tests/component/shopfloor_edge/test_console_figures.py \
	  tests/component/shopfloor_edge/test_console_inspection_browser.py tests/component/shopfloor_edge/test_zones_browser.py

bench-console: setup ## the console's first page, 20 tablets, 10,000 alerts: var/bench/console.json
	@$(PY)/python tests/perf/bench_console.py

bench-pictures: setup ## what live pictures cost a camera: var/bench/pictures.json
	@$(PY)/python tests/perf/bench_pictures.py

soak: setup ## eight cameras with faults into the vision process: var/bench/soak.json (MINUTES=10)
	@$(PY)/python tests/perf/soak.py --minutes $(or $(MINUTES),10)

sim-fleet: setup ## a simulated fleet rolled out in waves, one of them bad: var/bench/fleet.json (DEVICES=5000)
	@$(PY)/python tests/perf/sim_fleet.py --devices $(or $(DEVICES),5000)

e2e-store: setup ## a bare Debian in a namespace becomes a store: var/e2e/store.json (root; minutes)
	@SHOPFLOOR_E2E_STORE=1 $(PY)/python -m pytest -q -rA -p no:randomly tests/e2e/test_store.py

attacks: setup ## attacks on devices, console, identity and updates, all to be refused: var/e2e/attacks.json
	@$(PY)/python -m pytest -q -n auto --maxprocesses=4 -m attack --attacks var/e2e/attacks.json

canary: setup ## a pattern planted in frames is looked for in every byte that leaves: var/e2e/canary.json (wants root)
	@$(PY)/python -m pytest -q tests/e2e/test_pixel_canary.py

wheelhouse: setup ## every wheel of a device for each promised platform: var/wheelhouse (PLATFORM=3.12-aarch64, EXTRAS=…, FLAGS=…)
	@$(PY)/python -m shopfloor_provisioning.wheelhouse.app --platform "$(PLATFORM)" \
	  $(if $(EXTRAS),--extras "$(EXTRAS)") $(FLAGS)

deploy-store: setup ## bring a store's devices up from cloud/sites: STORE=demo needs nothing prepared (FLAGS=--dry-run)
	@$(PY)/python -m shopfloor_provisioning.app apply "$(STORE)" $(FLAGS)

clean: ## remove what was made here, not the caches outside
	@rm -rf var .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
