"""What `worldmodels evaluate` prints, and that it prints it again."""

import json
import os
import pathlib

import numpy as np
import pytest
import warm

from worldmodels.agents.runs import build
from worldmodels.agents.runs import collect
from worldmodels.agents.runs import evaluation
from worldmodels.agents.runs import experience
from worldmodels.agents.runs import restore
from worldmodels.agents.runs import scored
from worldmodels.agents.runs import seeds
from worldmodels.agents.runs.run_directory import RunDirectory

ROOT = pathlib.Path(__file__).parent.parent

FLAGS = ('--episodes=3', '--parallel=2', '--checkpoint=10')


@pytest.fixture(scope='module')
def printed(debug_run, program):
  """What the program prints; it leaves the run as it is."""
  before = sorted(path for path in debug_run.rglob('*'))
  done = program('evaluate', f'--logdir={debug_run}', *FLAGS)
  assert done.returncode == 0, done.stderr
  assert 'episode 3 of 3: return' in done.stderr
  assert 'Traceback' not in done.stderr
  assert sorted(path for path in debug_run.rglob('*')) == before
  return done.stdout


def test_prints_one_json_object(printed):
  found = json.loads(printed)
  assert printed.count('\n') == 1
  assert found['task'] == 'hill' and found['checkpoint'] == 10
  assert found['quality'] and found['action_repeat'] == 1
  assert found['episodes'] == 3
  assert found['seeds'] == seeds.of_played(3, 0)
  assert len(found['returns']) == 3
  assert found['mean'] == pytest.approx(np.mean(found['returns']), abs=0.01)
  assert found['std'] == pytest.approx(np.std(found['returns']), abs=0.01)
  assert all(0 < value < 50 for value in found['returns'])


def test_its_old_name_prints_the_same(printed, debug_run, tmp_path):
  """Also for a user whose own packages are called as ours in the checkout."""
  for name in ('agents', 'configs', 'data'):
    (tmp_path / f'{name}.py').write_text('raise RuntimeError("taken for ours")')
  done = warm.run(
    ['agents.run.evaluate', f'--logdir={debug_run}', *FLAGS],
    cwd=ROOT,
    env={**os.environ, 'PYTHONPATH': str(tmp_path)},
    timeout=280,
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout == printed


@pytest.fixture(scope='module')
def opened(debug_run):
  """The agent of the run, an environment, and the counters."""
  directory = RunDirectory(debug_run)
  config = directory.load()
  environment = build.environment(config)
  agent, counters = restore.agent(directory, config, directory.spec())
  yield agent, environment, counters
  environment.close()


def test_same_seed_same_returns(opened):
  agent, environment, _ = opened
  played = seeds.of_played(2, seed=3)
  returns = evaluation.returns(agent, [environment], played, str)
  assert evaluation.returns(agent, [environment], played, str) == returns
  # The first episodes of more are the same ones.
  first = seeds.of_played(1, seed=3)
  assert evaluation.returns(agent, [environment], first, str) == returns[:1]


def test_no_two_purposes_share_a_seed():
  played = seeds.of_played(20, seed=3)
  assert played == seeds.of_played(30, seed=3)[:20] and len({*played}) == 20
  assert not {*played} & {*seeds.of_played(20, seed=4)}
  # Nor are they those of a run with that seed.
  streams = (experience.COLLECT, experience.HELDOUT, experience.EVALUATE)
  for stream in streams:
    assert not {*played} & {collect.seed_of(3, stream, n) for n in range(20)}


def test_newest_checkpoint_by_default(opened):
  _, environment, counters = opened
  assert counters['updates'] == 15
  summary = scored.summary(environment, [1], [2.0])
  assert summary['task'] == environment.task and summary['seeds'] == [1]
