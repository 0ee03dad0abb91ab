"""The finished runs that come with the package."""

import pathlib
import re

import numpy as np
import pytest

import worldmodels
from worldmodels import errors
from worldmodels.agents.reports import records
from worldmodels.agents.runs import animation
from worldmodels.agents.runs import checkpoint_list
from worldmodels.agents.runs import examples
from worldmodels.agents.runs import restore
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.data.store import Store

MOST_BYTES = 8_000_000


def test_they_are_there_and_small():
  assert 'balance' in examples.names()
  files = [
    path
    for name in examples.names()
    for path in examples.path(f'example:{name}').rglob('*')
    if path.is_file()
  ]
  assert sum(path.stat().st_size for path in files) < MOST_BYTES
  assert not [path for path in files if path.suffix == '.tmp']


@pytest.mark.parametrize('name', examples.names())
def test_each_is_a_run_with_a_card(name):
  directory = RunDirectory(f'example:{name}')
  config, spec = directory.load(), directory.spec()
  counters = checkpoint_list.check(directory.checkpoints)
  assert counters[checkpoint_list.EXPORTED]
  card = (directory.path / 'card.md').read_text()
  assert card.startswith(f'# {name}\n') and f'`{config.task}`' in card
  assert re.search(r'Commit [0-9a-f]{7},', card)
  assert re.search(r'\d \+- \d', card) and 'seed' in card
  store = Store(directory.heldout, reading=True)
  assert store.episodes >= 4 and not store.damaged
  agent, _ = restore.agent(directory, config, spec)
  for variable in agent.acting_variables:
    assert np.isfinite(variable.numpy()).all()


def test_one_is_filmed_from_anywhere(program, tmp_path):
  done = program(
    *('video', '--logdir=example:balance', f'--out={tmp_path}/dream.gif'),
    *('--episodes=1', '--scale=1', '--horizon=15'),
  )
  assert done.returncode == 0, done.stderr
  frames = animation.decode((tmp_path / 'dream.gif').read_bytes(), '.gif')
  assert len(list(frames)) == 20
  # Its model is a good one: at step 15 far below a copy of the last image.
  (row,) = re.findall(r'\n +15 +([\d.]+) +([\d.]+) ', done.stdout)
  assert float(row[0]) < 0.6 * float(row[1])


def test_they_are_read_wherever_runs_are(tmp_path, monkeypatch):
  (record,) = records.read(['example:hill'])
  assert record.task == 'hill' and record.whole
  monkeypatch.setenv('HOME', str(tmp_path))
  assert examples.located('~/runs') == tmp_path / 'runs'
  run = worldmodels.load('example:hill')
  assert len(run.heldout) == 6 and run.updates == 700


def test_they_are_not_trained(program):
  directory = RunDirectory('example:balance')
  assert examples.holds(directory.path)
  assert not examples.holds(pathlib.Path('runs/balance'))
  before = sorted(directory.path.rglob('*'))
  with pytest.raises(RunError, match='comes with the package'):
    directory.claim(directory.load())
  assert sorted(directory.path.rglob('*')) == before


@pytest.mark.parametrize('name', ['', 'nope', '../balance', 'balance/..', '.'])
def test_no_such_example(name):
  with pytest.raises(errors.OptionError, match='the examples are .*balance'):
    RunDirectory(f'example:{name}')
