# What a person does with Leyden's source. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup run check test image hil hil-full bench browser clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.stamp ## make .venv with everything in it, from the lock file

$(VENV)/.stamp: requirements.lock requirements-spi.lock pyproject.toml app/leyden/panel/package-lock.json app/leyden/panel/vendor.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "found $$($(PYTHON) --version), expected Python 3.11 or newer; try make PYTHON=python3.13 setup"; exit 1; }
	@echo "making $(VENV) …"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/pip install --quiet --require-hashes --requirement requirements-spi.lock 2> $(VENV)/spidev.log \
	  && echo "spidev: compiled; SPI buses of this machine can be used" \
	  || echo "spidev: not compiled (a C compiler and Python's headers would be needed; see $(VENV)/spidev.log); modelled SPI buses work"
	$(BIN)/python -m leyden.panel.vendor
	@touch $@
	@echo "ready: $(BIN)/leyden --help"

run: setup ## run the sample greenhouse on modelled chips, panel on this machine
	$(BIN)/leyden run app/leyden/manual/greenhouse.toml --mock

check: setup ## format, lint, types, import contracts and the fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -m "not browser and not process and not slow"

test: setup browser tools ## all tests that need no hardware, real processes and a real browser included
	$(BIN)/pytest -q

browser:
	@command -v chromium > /dev/null || $(MAKE) --no-print-directory fetch-browser

# What the tests of the card start besides; without them those tests are skipped and say so.
TOOLS := busybox=busybox shellcheck=shellcheck mkimage=u-boot-tools dtc=device-tree-compiler \
  modprobe=kmod zstd=zstd mke2fs=e2fsprogs rauc=rauc unsquashfs=squashfs-tools systemd-analyze=systemd

.PHONY: tools
tools:
	@missing=""; PATH="$$PATH:/usr/sbin:/sbin"; for tool in $(TOOLS); do \
	  command -v $${tool%%=*} > /dev/null || missing="$$missing $${tool#*=}"; done; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	  echo "installing$$missing for the tests of the card …"; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing > /dev/null; \
	else \
	  echo "not here and not allowed to install:$$missing; some tests of the card will be skipped."; \
	  echo "to run them: sudo apt-get install$$missing"; \
	fi

.PHONY: fetch-browser
fetch-browser:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	  echo "installing Debian's Chromium for the panel's tests …"; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium > /dev/null; \
	else \
	  echo "no chromium here and not allowed to install it: the browser tests will be skipped."; \
	  echo "to run them: sudo apt-get install chromium"; \
	fi

IMAGE := PYTHONPATH=image $(BIN)/python -m leyden_image

image: setup ## build the SD card's image: build/leyden-<version>-arm64.img.zst
	$(IMAGE) build

HIL := .venv-hil
TARGET ?= qemu-virt

# An environment of its own: labgrid brings a fork of pyserial under the same name.
$(HIL)/.stamp: requirements-hil.lock
	$(PYTHON) -m venv $(HIL)
	$(HIL)/bin/pip install --quiet --require-hashes --requirement requirements-hil.lock
	@touch $@

hil: setup $(HIL)/.stamp browser ## boot the image on TARGET (qemu-virt, qemu-raspi3b, pi-bench) and test it
	$(IMAGE) host --rig
	PYTHONPATH=hil $(HIL)/bin/python -m leyden_hil run $(TARGET)

hil-full: setup $(HIL)/.stamp browser ## every row on every emulated target; takes hours
	$(IMAGE) host --rig
	PYTHONPATH=hil $(HIL)/bin/python -m leyden_hil run --full qemu-virt qemu-virt-uboot qemu-raspi3b

bench: setup ## measure against the peers in one run; QUICK=1 takes under a minute
	$(BIN)/python -m tests.bench $(if $(QUICK),--quick)

clean: ## remove what was built; data and environments stay
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
