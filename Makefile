# One command each; `make help` lists them. Everything is installed in .venv,
# once, and nowhere else.

TASK ?= cartpole_balance
CONFIG ?= planet:cpu
# A task by another config is another run.
LOGDIR ?= runs/$(subst /,_,$(subst :,_,$(TASK)_$(CONFIG)))
ARGS ?=
GRAPHICS ?= yes

# The first Python that is new enough and can create an environment.
_SUITS = import sys, ensurepip, venv; \
  sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))
PYTHON ?= $(shell for python in python3.11 python3.12 python3 python; do \
  $$python -c '$(_SUITS)' 2>/dev/null && echo $$python && break; done)
PIP = -m pip --disable-pip-version-check
PYTEST = -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help setup train test faults kills cluster-kills lint wheel docs try-wheel \
  test-lowest test-newest clean check

help:
	@echo 'make setup   create .venv and install the pinned requirements, once'
	@echo 'make train   learn, evaluate 10 episodes and film a dream:'
	@echo '             TASK=$(TASK) CONFIG=$(CONFIG)'
	@echo '             LOGDIR=$(LOGDIR) ARGS=--config.KEY=VALUE'
	@echo 'make test    every test, or those of ARGS="tests/house_test.py -x"'
	@echo 'make faults  plant faults one by one: does a test find each of them?'
	@echo 'make kills   kill trainings 50 times: do they come out the same?'
	@echo 'make cluster-kills  the same of what trains on a cluster, 50 times'
	@echo 'make lint    ruff: its rules, and its format'
	@echo 'make wheel   dist/worldmodels_tf-*.whl'
	@echo 'make docs    build/docs/html: all pages, and every docstring'
	@echo 'make clean   remove what building and testing left (not runs, .venv)'
	@echo 'PYTHON=...   the Python 3.11 or 3.12 that .venv is made from'
	@echo 'GRAPHICS=no  go on without OpenGL (tasks that draw themselves)'
	@echo 'Each of these installs 3 GB into an environment of its own, afresh:'
	@echo 'make try-wheel     use the wheel as another project would'
	@echo 'make test-lowest   every test, with the lowest versions allowed'
	@echo 'make test-newest   every test, with the newest; also PYTHON=python3.13'

setup: .venv/installed

train: setup
	.venv/bin/worldmodels train --config=$(CONFIG) --config.task=$(TASK) \
	  --logdir=$(LOGDIR) $(ARGS)
	.venv/bin/worldmodels evaluate --logdir=$(LOGDIR) --episodes=10
	.venv/bin/worldmodels video --logdir=$(LOGDIR) --out=$(LOGDIR)/dream.webm \
	  $(if $(filter model_free%,$(CONFIG)),--real)

test: setup
	.venv/bin/python $(PYTEST) $(ARGS)

# Not part of CI: minutes. ARGS=rssm plants those with this word in them.
faults: setup
	.venv/bin/python tests/faults.py $(ARGS)

kills: setup
	.venv/bin/python tests/kills.py $(ARGS)

cluster-kills: setup
	.venv/bin/python tests/cluster_kills.py $(ARGS)

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

wheel: setup
	rm -rf build worldmodels_tf.egg-info dist/worldmodels_tf-*.whl
	.venv/bin/python -m build --wheel --no-isolation

# Sphinx has an environment of its own, of 50 MB; the code is read and not
# imported, so it needs nothing else. Without a network once that is there.
docs: .venv-docs/installed
	$(PYTHON) docs/site/pages.py build/docs/source
	.venv-docs/bin/python -m sphinx -q -W --keep-going -j auto \
	  build/docs/source build/docs/html
	@echo 'build/docs/html/index.html'

.venv-docs/installed: requirements-docs.txt
	rm -rf .venv-docs
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python $(PIP) install -r requirements-docs.txt
	@touch $@

# Nothing of this checkout but the wheel, and of that what it asks for.
try-wheel: wheel
	rm -rf .venv-wheel
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python $(PIP) install -r requirements-dev.txt \
	  "$$(echo dist/worldmodels_tf-*.whl)[dmc,gymnasium]"
	.venv-wheel/bin/python -m pip check
	cd "$$(mktemp -d)" && \
	  '$(CURDIR)/.venv-wheel/bin/worldmodels' check --task=cartpole_balance
	.venv-wheel/bin/python -m pytest --all-programs \
	  tests/foreign_project_test.py tests/wheel_programs_test.py $(ARGS)

test-lowest test-newest: test-%: .venv-%/installed
	.venv-$*/bin/python $(PYTEST) $(ARGS)

# pip wants labmaze for dm-control, which has no wheel for Python 3.13;
# dm_control.suite does not use it.
.venv-lowest/installed .venv-newest/installed: .venv-%/installed: \
  pyproject.toml requirements-dev.txt tests/lowest_requirements.py
	rm -rf .venv-$*
	$(PYTHON) -m venv .venv-$*
	$(PYTHON) tests/lowest_requirements.py > .venv-$*/lowest.txt
	.venv-$*/bin/python $(PIP) install -r requirements-dev.txt -e '.[dmc,gymnasium]' \
	  $(and $(filter lowest,$*),-c .venv-lowest/lowest.txt)
	.venv-$*/bin/python -m pip check
	.venv-$*/bin/python -c 'import dm_control' 2>/dev/null || { \
	  .venv-$*/bin/python $(PIP) install --no-deps 'dm-control<1.0.51' && \
	  .venv-$*/bin/python $(PIP) install 'mujoco<3.18' lxml pyparsing scipy; }
	@touch $@

clean:
	rm -rf build dist worldmodels_tf.egg-info .pytest_cache .ruff_cache
	find agents configs data tests worldmodels -name __pycache__ \
	  -exec rm -rf {} +

# Made again when a requirement changes. `check` runs first, every time. Last,
# this checkout itself, for the command `worldmodels`.
.venv/installed: requirements.txt requirements-dev.txt pyproject.toml | check
	@echo 'Installing into .venv, once: about 0.8 GB to download, 3 GB of disk.'
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) install -r requirements.txt -r requirements-dev.txt
	.venv/bin/python $(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# What pip cannot install is named before anything else runs, all at once.
check:
	@bad=0; python=python3; \
	if [ -x .venv/bin/python ]; then \
	  python=.venv/bin/python; \
	elif $(or $(PYTHON),false) -c '$(_SUITS)' 2>/dev/null; then \
	  python='$(PYTHON)'; \
	else \
	  echo 'setup: needs Python 3.11 or 3.12 with its venv module:' \
	    'apt-get install python3-venv, or make PYTHON=/path/to/python3.12' \
	    "(python3 is $$(python3 --version 2>/dev/null || echo missing))" >&2; \
	  bad=1; \
	fi; \
	if [ '$(GRAPHICS)' != no ] && command -v "$$python" >/dev/null && \
	   ! "$$python" -m worldmodels.data.graphics; then \
	  echo 'setup: tasks that draw themselves need none: make GRAPHICS=no' >&2; \
	  bad=1; \
	fi; \
	exit $$bad
