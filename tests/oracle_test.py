"""Planning in the simulator itself, and `worldmodels oracle`."""

import json

import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels.agents import oracle
from worldmodels.problem import Plan
from worldmodels.spec import Spec

PLANNER = dict(
  kind='cem', horizon=3, sample=False, iterations=4, candidates=60, elites=8
)


class Line:
  """A place on a line; the reward is how near it is to 0."""

  def __init__(self, place):
    self._place = place
    self.asked = []

  def simulate(self, sequences):
    self.asked.append(len(sequences))
    self._found = -np.abs(self._place + np.cumsum(sequences[..., 0], 1))

  def simulated(self):
    return self._found, np.ones_like(self._found)


def act(agent, count):
  observation = {'is_first': tf.ones([count], tf.bool)}
  seed = tf.constant([0, 1])
  explore = tf.constant(False)
  return agent.policy(observation, agent.initial(count), explore, seed)[0]


def make(*places, **options):
  lines = [Line(place) for place in places]
  planner = PLANNER | options
  agent = oracle.Oracle(spec=Spec(actions=1), planner=planner, simulators=lines)
  return agent, lines


def test_each_episode_is_planned_in_its_own_simulator():
  agent, lines = make(-0.5, 0.25)
  np.testing.assert_allclose(act(agent, 2)[:, 0], [0.5, -0.25], atol=0.1)
  assert lines[0].asked == lines[1].asked == [60] * 4
  # Of fewer episodes than simulators the first ones are theirs.
  np.testing.assert_allclose(act(agent, 1)[:, 0], [0.5], atol=0.1)
  assert len(lines[1].asked) == 4


def test_a_plan_may_be_followed_and_begun_from():
  agent, lines = make(-0.5, replan=2, warm_start=True)
  observation = {'is_first': tf.constant([True])}
  state = agent.initial(1)
  for _ in range(3):
    _, state = agent.policy(
      observation, state, tf.constant(False), tf.constant([0, 1])
    )
    observation = {'is_first': tf.constant([False])}
  assert len(lines[0].asked) == 2 * 4


def test_a_planner_of_gradients_or_single_steps_is_refused():
  agent, _ = make(0.5, kind='gradient', candidates=3)
  with pytest.raises(errors.UserError, match='gradient'):
    act(agent, 1)
  agent, _ = make(0.5, kind=f'{__name__}:stepping')
  with pytest.raises(errors.OptionError, match='whole sequences'):
    act(agent, 1)


def stepping(problem, seed):
  """A planner that takes single steps."""
  state, _, _ = problem.step(problem.state, tf.zeros([1, 1]))
  del seed, state
  return Plan(problem.start)


# -------------------------------------------------------------- the program --


def run(program, config, *arguments):
  return program(
    *('oracle', f'--config={config}', *arguments),
    *('--config.task=hill', '--config.planner.horizon=6'),
    *('--config.planner.candidates=24', '--config.planner.iterations=2'),
    '--config.planner.elites=4',
  )


def test_plans_better_than_chance_and_says_by_what(program):
  done = run(program, 'dreamer:debug', '--episodes=2', '--parallel=2')
  assert done.returncode == 0, done.stderr
  assert 'of no use here, and left out: value=True' in done.stderr
  found = json.loads(done.stdout)
  assert done.stdout.count('\n') == 1 and found['task'] == 'hill'
  assert found['episodes'] == 2 and len(found['returns']) == 2
  assert found['mean'] > 25  # Random actions get 10.
  assert found['planner']['horizon'] == 6 and not found['planner']['value']
  assert found['seconds_per_step'] > 0


def test_needs_a_planner_and_a_task_that_can_be_put_back(program):
  done = program('oracle', '--config=model_free:debug')
  assert done.returncode == 1 and done.stderr.count('\n') == 1
  assert "the agent 'model_free' has no planner" in done.stderr
  task = '--config.task=tests.strange_tasks:Chancy'
  done = program('oracle', '--config=planet:debug', task)
  assert done.returncode == 1 and not done.stdout
  assert "strange_tasks:Chancy': the same actions" in done.stderr
