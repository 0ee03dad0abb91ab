"""The programs with Dreamer, on a task with discrete actions.

agents_test has what can be said of the agent alone; other tests run the same
programs with PlaNet.
"""

import json
import shutil

import numpy as np
import pytest
import resume_test

from worldmodels.agents.runs import animation

OPTIONS = dict(task='juggle', agent='dreamer')
FLAGS = (
  *('--config.learner.actor.kind=one_hot',),
  *('--config.planner.kind=categorical_cem',),
  *('--config.overshooting.steps=0', '--config.heads.image.share=1'),
  *('--config.evaluate.last_episodes=1', '--noconfig.train.overlap'),
  '--config.dreaming=averaged',
)

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A finished run."""
  logdir = tmp_path_factory.mktemp('dreamer') / 'run'
  resume_test.train(logdir, *FLAGS, **OPTIONS)
  return logdir


def test_it_goes_on_from_a_checkpoint(run, tmp_path):
  """As if it had been stopped there, learning first and then acting."""
  half = tmp_path / 'half'
  shutil.copytree(run, half)
  shutil.rmtree(half / 'checkpoints' / '00000015')
  for folder, number in (('episodes', 4), ('heldout', 3)):
    resume_test.numbered(half / folder)[number].unlink()
  printed = resume_test.train(half, *FLAGS, **OPTIONS)
  assert 'continues  after 10 updates, 4 episodes' in printed
  resume_test.assert_same(half, run)


def test_actions_are_one_hot(run):
  found = resume_test.numbered(run / 'episodes')
  assert len(found) == 5
  for path in found.values():
    action = resume_test.arrays(path)['action']
    assert not action[0].any()
    ordered = np.sort(action[1:])[:, ::-1]
    np.testing.assert_array_equal(ordered, [[1, 0, 0]] * 50)


def test_behavior_is_compared_with_the_world(run):
  lines = [x for x in resume_test.lines(run) if 'behavior_value_error' in x]
  assert len(lines) == 3  # Two evaluations and the end.
  for line in lines:
    assert len(line['behavior_imagined_reward']) == 6
    assert len(line['behavior_action_gradient']) == 6
    assert max(line['behavior_action_gradient']) > 0
    for key in ('imagined_return', 'real_return', 'value_mean', 'value_real'):
      assert np.isfinite(line[f'behavior_{key}'])
  trained = [x for x in resume_test.lines(run) if 'actor_loss' in x]
  assert len(trained) == 3
  assert all(0 < x['actor_entropy'] <= np.log(3) + 1e-3 for x in trained)


def test_its_planner_may_act_though_its_actor_did(run, wheel_program, tmp_path):
  """Behind the actor's back: weights of the run, and other choices."""
  flags = f'--logdir={run}', '--config.acting=planner', '--episodes=1'
  done = wheel_program('evaluate', *flags)
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout)
  assert found['config'] == {'acting': 'planner'} and 0 < found['mean'] < 50
  assert 'other than the run: acting=planner' in done.stderr
  out = tmp_path / 'plan.gif'
  done = wheel_program(
    'video', *flags, f'--out={out}', '--scale=1', '--horizon=4'
  )
  assert done.returncode == 0 and not done.stderr, done.stderr
  assert 'reward of 4 imagined steps, planned: mean ' in done.stdout
  assert 1 < len(list(animation.decode(out.read_bytes(), '.gif'))) <= 9
  done = wheel_program('video', *flags[:1], '--config.acting=policy')
  assert done.returncode == 1 and done.stderr.count('\n') == 1
  assert '--config.acting is policy: the actor is filmed by' in done.stderr


def test_it_is_evaluated_and_filmed(run, wheel_program, tmp_path):
  done = wheel_program('evaluate', f'--logdir={run}', '--episodes=2')
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout)
  assert found['task'] == 'juggle' and 0 < found['mean'] < 50
  out = tmp_path / 'dream.gif'
  done = wheel_program(
    'video', f'--logdir={run}', f'--out={out}', '--episodes=1', '--scale=1'
  )
  assert done.returncode == 0, done.stderr
  assert len(list(animation.decode(out.read_bytes(), '.gif'))) == 50
