# One command each; `make help` lists them. Everything is installed in .venv,
# once, and nowhere else.

TASK ?= cartpole_balance
CONFIG ?= configs/planet.py:cpu
LOGDIR ?= runs/$(subst :,_,$(TASK))
ARGS ?=
GRAPHICS ?= yes

# The first Python that is new enough and can create an environment.
_SUITS = import sys, ensurepip, venv; \
  sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))
PYTHON ?= $(shell for python in python3.11 python3.12 python3 python; do \
  $$python -c '$(_SUITS)' 2>/dev/null && echo $$python && break; done)

.PHONY: help setup train test lint wheel clean check

help:
	@echo 'make setup   create .venv and install the pinned requirements, once'
	@echo 'make train   learn, evaluate 10 episodes and film a dream:'
	@echo '             TASK=$(TASK) CONFIG=$(CONFIG)'
	@echo '             LOGDIR=$(LOGDIR) ARGS=--config.KEY=VALUE'
	@echo 'make test    every test, or those of ARGS="tests/house_test.py -x"'
	@echo 'make lint    ruff'
	@echo 'make wheel   dist/worldmodels-*.whl'
	@echo 'make clean   remove what building and testing left (not runs, .venv)'
	@echo 'PYTHON=...   the Python 3.11 or 3.12 that .venv is made from'
	@echo 'GRAPHICS=no  go on without OpenGL (tasks that draw themselves)'

setup: .venv/installed

train: setup
	.venv/bin/python -m agents.run.train --config=$(CONFIG) \
	  --config.task=$(TASK) --logdir=$(LOGDIR) $(ARGS)
	.venv/bin/python -m agents.run.evaluate --logdir=$(LOGDIR) --episodes=10
	.venv/bin/python -m agents.run.video --logdir=$(LOGDIR) \
	  --out=$(LOGDIR)/dream.webm

test: setup
	.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
	  $(ARGS)

lint: setup
	.venv/bin/ruff check .

wheel: setup
	rm -rf build worldmodels.egg-info
	.venv/bin/python -m build --wheel --no-isolation

clean:
	rm -rf build dist worldmodels.egg-info .pytest_cache .ruff_cache
	find agents configs data tests worldmodels -name __pycache__ \
	  -exec rm -rf {} +

# Made again when a requirement changes. `check` runs first, every time.
.venv/installed: requirements.txt requirements-dev.txt | check
	@echo 'Installing into .venv, once: about 0.8 GB to download, 3 GB of disk.'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --disable-pip-version-check \
	  -r requirements.txt -r requirements-dev.txt
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
	   ! "$$python" -m data.graphics; then \
	  echo 'setup: tasks that draw themselves need none: make GRAPHICS=no' >&2; \
	  bad=1; \
	fi; \
	exit $$bad
