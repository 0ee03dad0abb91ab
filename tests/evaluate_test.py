import json

import numpy as np
import pytest

from agents.run import build
from agents.run import evaluate
from agents.run import restore
from agents.run import run_directory


def test_prints_one_json_object(debug_run, program):
  before = sorted(path for path in debug_run.rglob('*'))
  done = program(
    'agents.run.evaluate',
    f'--logdir={debug_run}',
    '--episodes=3',
    '--parallel=2',
    '--checkpoint=10',
  )
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout)
  assert done.stdout.count('\n') == 1
  assert found['task'] == 'hill' and found['checkpoint'] == 10
  assert found['quality'] and found['action_repeat'] == 1
  assert found['episodes'] == 3
  assert len(set(found['seeds'])) == 3 and len(found['returns']) == 3
  assert found['mean'] == pytest.approx(np.mean(found['returns']), abs=0.01)
  assert found['std'] == pytest.approx(np.std(found['returns']), abs=0.01)
  assert all(0 < value < 50 for value in found['returns'])
  assert 'episode 3 of 3: return' in done.stderr
  assert 'Traceback' not in done.stderr
  assert sorted(path for path in debug_run.rglob('*')) == before


@pytest.fixture(scope='module')
def opened(debug_run):
  """The agent of the run and an environment."""
  directory = run_directory.RunDirectory(debug_run)
  config = directory.load()
  environment = build.environment(config)
  agent, counters = restore.agent(
    directory, config, environment.action_size, build.vectors_of(environment)
  )
  yield agent, environment, counters
  environment.close()


def run(opened, seed, episodes=2):
  agent, environment, _ = opened
  return evaluate.evaluate(agent, [environment], episodes, seed, str)


def test_same_seed_same_returns(opened):
  seeds, returns = run(opened, 3)
  assert run(opened, 3) == (seeds, returns)
  # The first episodes of more are the same ones.
  assert run(opened, 3, 1) == (seeds[:1], returns[:1])
  assert not set(seeds) & set(run(opened, 4, 1)[0])


def test_newest_checkpoint_by_default(opened):
  assert opened[2]['updates'] == 15
  assert evaluate.summary(opened[1], opened[2], [1], [2.0])['checkpoint'] == 15
