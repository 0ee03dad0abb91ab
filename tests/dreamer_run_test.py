"""The programs with Dreamer, on a task with discrete actions.

agents_test has what can be said of the agent alone; other tests run the same
programs with PlaNet.
"""

import json

import numpy as np
import pytest
import resume_test

from agents.run import animation

OPTIONS = dict(task='juggle', agent='dreamer')
FLAGS = (
  '--config.actor.kind=one_hot', '--config.planner.name=categorical_cem',
  '--config.overshooting.steps=0',
  '--config.evaluate.last_episodes=1')

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A finished run."""
  logdir = tmp_path_factory.mktemp('dreamer') / 'run'
  resume_test.train(logdir, *FLAGS, **OPTIONS)
  return logdir


def test_halves_make_a_whole(run, tmp_path):
  half = tmp_path / 'half'
  resume_test.train(half, *FLAGS, '--config.train.episodes=4', **OPTIONS)
  printed = resume_test.train(half, *FLAGS, **OPTIONS)
  assert 'continues  after 10 updates and 4 episodes' in printed
  resume_test.assert_same(half, run)


def test_actions_are_one_hot(run):
  found = resume_test.numbered(run / 'episodes')
  assert len(found) == 5
  for path in found.values():
    action = resume_test.arrays(path)['action']
    assert not action[0].any()
    ordered = np.sort(action[1:])[:, ::-1]
    np.testing.assert_array_equal(ordered, [[1, 0, 0]] * 50)


def test_behaviour_is_compared_with_the_world(run):
  lines = [x for x in resume_test.lines(run) if 'behaviour_value_error' in x]
  assert len(lines) == 3  # Two evaluations and the end.
  for line in lines:
    assert len(line['behaviour_imagined_reward']) == 6
    assert len(line['behaviour_action_gradient']) == 6
    assert max(line['behaviour_action_gradient']) > 0
    for key in ('imagined_return', 'real_return', 'value_mean', 'value_real'):
      assert np.isfinite(line[f'behaviour_{key}'])
  trained = [x for x in resume_test.lines(run) if 'actor_loss' in x]
  assert len(trained) == 3
  assert all(0 < x['actor_entropy'] <= np.log(3) + 1e-3 for x in trained)


def test_it_is_evaluated_and_filmed(run, program, tmp_path):
  done = program('agents.run.evaluate', f'--logdir={run}', '--episodes=2')
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout)
  assert found['task'] == 'juggle' and 0 < found['mean'] < 50
  out = tmp_path / 'dream.gif'
  done = program(
    'agents.run.video', f'--logdir={run}', f'--out={out}', '--episodes=1',
    '--scale=1')
  assert done.returncode == 0, done.stderr
  assert len(list(animation.decode(out.read_bytes(), '.gif'))) == 50
