# Two commands matter: `make demo` and `make test`. Both set up everything they need in .venv and .local.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
AZURITE := .local/azurite/installed
KUSTO := .local/kusto/installed
AXE := .local/axe/installed
REQUIREMENTS := runner/requirements.txt local/requirements.txt local/azurite/requirements.txt
LOCKED := --require-hashes --only-binary :all:
UV_VERSION := 0.13.9
PIP_VERSION := 26.3
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test check docs setup infra-check cli-check chaos hard simulate image-check images-real k8s-check readers-check sbom image-kernels lock \
  locks-check vulnerabilities licences clean

demo: $(INSTALLED) $(AZURITE)  ## upload videos into the emulator, wait, show the splat; VIDEOS="a.mp4 b.mp4" for your own
	@$(BIN)/python -m video_splat demo $(if $(PRESET),--preset $(PRESET)) $(VIDEOS)

test: setup check  ## set up and pass all tests; several files beside each other, as most wait more than they compute
	$(BIN)/python -m pytest -n $(or $(JOBS),auto) --dist loadfile --no-loadscope-reorder

check: $(VENV)/installed-tests  ## linters and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(INSTALLED)  ## write what the documents repeat of the code: settings, presets, codes, answers to --help
	$(BIN)/python -m scripts.generate_docs

chaos: setup  ## kill, freeze and deafen real processes at every request, at full size: about an hour, mostly waiting
	$(BIN)/python -m tests.chaos $(if $(POINTS),--points $(POINTS))

hard: setup  ## deliberately bad scenes: each stopped with the right code or rescued with right cameras; writes the table
	$(BIN)/python -m benchmarks.hard_cases --out benchmarks/results/hard_cases.md

simulate: $(VENV)/installed-tests  ## 20,000 simulated schedules, every single crash, every mutant; writes the table (10 to 20 minutes)
	$(BIN)/python -m tests.simulation --schedules 20000 --jobs $(or $(JOBS),2) --table benchmarks/results/simulation.md

image-check: $(INSTALLED)  ## install what function app and images install into clean environments, start it, sum the sizes; GPU=1 too
	$(BIN)/python scripts/image_check.py $(if $(GPU),--gpu)

cli-check: $(VENV)/installed-tests $(AZURITE)  ## hold every command line of `az` against the published azure-cli, its login and SAS against the programs, offline; 400 MB in .local, 2 minutes
	test -x .local/azure-cli/bin/az || $(PYTHON) -m venv .local/azure-cli && .local/azure-cli/bin/pip install --quiet --require-hashes -r tests/infra/azcli/requirements.lock
	rm -f .local/azure-cli/recorded
	RECORD_AZ=$(CURDIR)/.local/azure-cli/recorded $(BIN)/python -m pytest --quiet tests/infra -k "script or hook or aci or vm or subscription"
	$(BIN)/python -m tests.infra.azcli.check --recorded .local/azure-cli/recorded
	$(BIN)/python -m tests.infra.azcli.login

sbom: $(INSTALLED)  ## write docs/sbom: what is in each image, from the locks, held against CycloneDX's schema
	test -x .local/sbom/bin/pip || $(PYTHON) -m venv .local/sbom
	.local/sbom/bin/pip install --quiet --require-hashes -r tests/infra/sbom/requirements.lock
	$(BIN)/python -m scripts.sbom .local/sbom/bin/python

k8s-check: $(VENV)/installed-tests  ## hold k8s/ against the published schemas of Kubernetes; 100 MB in .local
	test -x .local/kubernetes/bin/pip || $(PYTHON) -m venv .local/kubernetes
	.local/kubernetes/bin/pip install --quiet --require-hashes -r tests/infra/kubernetes/requirements.lock
	$(BIN)/python -m pytest --quiet tests/infra/kubernetes/test_k8s_schemas.py

images-real: setup  ## build the CPU images and run them and compose.yaml, for real: half an hour; needs a Docker engine, or root on Debian
	$(BIN)/python -m scripts.images_real $(PARTS)

readers-check: $(VENV)/installed-tests  ## open what is exported with programs that nobody here wrote; 350 MB in .local
	$(BIN)/python -m tests.readers
	$(BIN)/python -m pytest --quiet tests/readers

image-kernels:  ## compile gsplat's kernels as the image does, without a GPU: 20 minutes of processor time; needs g++ and 6 GB of disk
	$(PYTHON) -m venv .local/kernels
	.local/kernels/bin/pip install --quiet --require-hashes -r runner/image/gpu-cuda13.lock -r runner/image/build-cuda13.lock
	runner/image/build_kernels.sh .local/kernels/bin/python .local/kernels/wheels

vulnerabilities: $(VENV)/installed-tests  ## look up what is known against every locked package: docs/vulnerabilities.md; DATABASE=FOLDER where osv.dev is not reached
	$(BIN)/python -m scripts.packages.vulnerabilities $(if $(DATABASE),--database $(DATABASE))

licences: $(VENV)/installed-tests .local/lock/bin/uv  ## write docs/licences.md: of every package in an image or the function app; needs PyPI
	$(BIN)/python -m scripts.packages.licences --pip .local/lock/bin/pip

locks-check:  ## install what is deployed by hash, wheels alone, into clean environments of 3.11 and 3.12; GPU=1 too (3 GB)
	$(PYTHON) scripts/packages/check.py $(if $(GPU),--gpu)

lock: .local/lock/bin/uv  ## write every lock of Python packages, as docs/versions.md tells; needs PyPI, and TORCH_CPU_INDEX or its default
	.local/lock/bin/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-annotate --only-binary :all: \
	  --custom-compile-command "make lock" -c runner/image/cpu.lock requirements.in -o requirements.txt
	PATH=$(CURDIR)/.local/lock/bin:$$PATH runner/image/lock.sh

.local/lock/bin/uv:
	$(PYTHON) -m venv .local/lock
	.local/lock/bin/pip install --quiet uv==$(UV_VERSION) pip==$(PIP_VERSION)

infra-check: setup  ## compile and lint the templates where the bicep tool is; parse and type-check every KQL query
	$(BIN)/python -m tests.infra.check

setup: $(VENV)/installed-tests $(AZURITE) $(KUSTO) $(AXE)

# torch first and pinned: without it pip may resolve another build, with gigabytes of CUDA. The function app's in a call of their
# own: one file with hashes wants hashes for all.
$(INSTALLED): requirements.txt $(REQUIREMENTS) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || \
	  { echo "Python 3.11 or 3.12 is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet $(addprefix -r ,$(REQUIREMENTS))
	$(BIN)/pip install --quiet $(LOCKED) -r requirements.txt
	$(BIN)/pip install --quiet --no-deps --editable .
	@touch $@

$(VENV)/installed-tests: $(INSTALLED) tests/requirements.txt
	$(BIN)/pip install --quiet -r tests/requirements.txt
	$(BIN)/pip install --quiet --no-deps --ignore-requires-python azure-functions-runtime==1.3.0
	@touch $@

$(AZURITE): $(INSTALLED) local/azurite/package.json local/azurite/package-lock.json
	$(BIN)/python -m local.azurite install
	@touch $@

$(KUSTO): $(VENV)/installed-tests tests/infra/kusto/package-lock.json
	$(BIN)/python -m tests.infra.kusto.queries install
	@touch $@

$(AXE): $(VENV)/installed-tests tests/axe/package-lock.json
	$(BIN)/python -m tests.axe install
	@touch $@

clean:
	rm -rf $(VENV) .local out
