# Pillarbox: `make run` starts the whole server here, `make test` proves it.
# Needs Python 3.11 or newer and make; everything else goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= data
SUITE ?= bookworm
RUN_AS ?= user
TEST_PROCESSES ?= 3

.PHONY: image image-test install-test run setup test lint types check bench fuzz noise crash-sweep test-bare test-trixie test-gpio web-test draft-kills node-test jmapc-test thunderbird-test web-shots tables catalogues jmap-model lock clean help

help:            ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

run: setup       ## start the whole server in the foreground, data in ./data
	@exec $(BIN)/pillarbox run --data $(DATA)

setup: $(VENV)/.ready   ## make .venv with the command in it

test: $(VENV)/.tests-ready   ## set up and pass the tests, in three processes (TEST_PROCESSES=0: in one)
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.tests-ready   ## ruff
	@$(BIN)/ruff check appliance image tests

types: $(VENV)/.tests-ready  ## mypy --strict
	@$(BIN)/mypy

check: lint types test       ## all of it

bench: $(VENV)/.tests-ready  ## measure, print beside the bars (root gives the full table)
	@$(BIN)/python -m tests.bench

fuzz: $(VENV)/.tests-ready   ## 60 s of hostile octets on each port, ten minutes of many sessions on one mailbox
	@$(BIN)/python -m tests.fuzz --seconds 60 --port smtp --port imap --port pop3 --port console
	@$(BIN)/python -m tests.fuzz --seconds 600 --port sessions

jmap-model: $(VENV)/.tests-ready   ## a JMAP client that follows changes against everything that changes mail, for ten minutes
	@for seed in 2 3 4 5; do PILLARBOX_MODEL_ROUNDS=150 PILLARBOX_MODEL_SEED=$$seed $(BIN)/python -m pytest -q -x tests/journeys/test_jmap_model.py || exit 1; done

noise: $(VENV)/.tests-ready  ## ten minutes of random keys and line noise on the serial console
	@$(BIN)/python -m tests.fuzz --seconds 600 --port console

crash-sweep: $(VENV)/.tests-ready  ## every power cut there is, not only the seeded thousand
	@$(BIN)/python -m tests.crash --all

test-bare:       ## make test in a bare Debian root: SUITE=bookworm or trixie, RUN_AS=user or root (needs root and mmdebstrap)
	@SUITE=$(SUITE) RUN_AS=$(RUN_AS) tests/bare.sh

test-trixie:     ## the tests in a Debian 13 root (needs root and mmdebstrap)
	@tests/trixie.sh

install-test: $(VENV)/.tests-ready  ## `pillarbox install` under the systemd of Debian 12 and 13, in containers (needs root)
	@tests/install.sh

test-gpio: $(VENV)/.ready    ## LEDs and button on a simulated kernel GPIO chip, in QEMU (needs root)
	@tests/gpio_sim.sh

# Chromium by Playwright: chromium and libnss3-tools. WebKit by selenium: webkit2gtk-driver and xvfb, and localhost in /etc/hosts.
web-test: $(VENV)/.tests-ready   ## every page in two real browsers, then as pictures (needs chromium, libnss3-tools, webkit2gtk-driver, xvfb)
	@PILLARBOX_REQUIRE_ALL=1 $(BIN)/python -m pytest tests/web tests/web/webmail/matrix.py tests/web/webmail/bad_networks.py tests/web/webmail/list_model.py
	@PILLARBOX_REQUIRE_ALL=1 $(BIN)/python -m pytest tests/web/webkit_pages.py tests/web/webmail/webkit_mail.py
	@$(BIN)/python -m tests.web.shots build/shots

draft-kills: $(VENV)/.tests-ready   ## kill tab, network and server 200 times while a message is written in a browser
	@$(BIN)/python -m tests.web.webmail.draft_kills

node-test: $(VENV)/.tests-ready  ## imapflow, node-imap and jmap-jam of npm against a real server (needs nodejs and npm)
	@$(BIN)/python -m tests.clients.node_libraries

jmapc-test: $(VENV)/.tests-ready ## jmapc of PyPI against a real server, in an environment of its own
	@$(BIN)/python -m tests.clients.jmapc_library

thunderbird-test: $(VENV)/.tests-ready   ## Thunderbird without a window against a real server (needs thunderbird and libnss3-tools)
	@$(BIN)/python -m tests.clients.thunderbird

web-shots: $(VENV)/.tests-ready  ## every page at three widths, light and dark, as pictures in build/shots
	@$(BIN)/python -m tests.web.shots build/shots

image: $(VENV)/.ready        ## the flashable image for Raspberry Pi, in build/image (needs root): IMAGE_OPTIONS="--help" lists its options
	@$(BIN)/python -m image $(IMAGE_OPTIONS)

image-test: $(VENV)/.tests-ready   ## start the image in QEMU, send mail, pull the plug: an hour (needs root)
	@$(BIN)/python -m tests.image

tables: $(VENV)/.tests-ready   ## write the README's tables of standards and settings anew
	@$(BIN)/python -m tests.support.readme_tables

catalogues: $(VENV)/.ready   ## add what is new in the code to the catalogues of appliance/languages, and compile them
	@$(BIN)/python -P -m appliance.languages.translations update
	@$(BIN)/python -P -m appliance.languages.translations compile

lock: setup       ## renew the lock files from pyproject.toml
	@$(BIN)/pip -q install uv
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --group build pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --group test --group lint -c requirements.lock pyproject.toml -o requirements-test.lock

clean:           ## forget .venv and what tools left behind
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Pillarbox needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.13"; exit 2; }
	@$(PYTHON) -P -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "This Python cannot make a private environment. On Debian: apt install python3-venv"; exit 2; }
	@echo "Making a private environment in $(VENV) ..."
	@$(PYTHON) -P -m venv $(VENV)

$(VENV)/.ready: $(VENV)/bin/python pyproject.toml requirements.lock $(wildcard appliance/languages/*.po)
	@$(BIN)/python -P -m pip -q --disable-pip-version-check install --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -P -m pip -q --disable-pip-version-check install --no-deps --no-build-isolation -e .
	@PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(CURDIR)/$(VENV)/lean-code $(BIN)/python -OO -P -m appliance.app.process compile
	@touch $@

$(VENV)/.tests-ready: $(VENV)/.ready requirements-test.lock
	@$(BIN)/python -P -m pip -q --disable-pip-version-check install --no-deps --require-hashes -r requirements-test.lock
	@touch $@
