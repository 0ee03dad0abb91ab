"""Every file in data/tasks is under these tests the moment it exists."""

import pathlib
import unittest

import numpy as np
import pytest
from dm_env import test_utils

from worldmodels.data import actions
from worldmodels.data import environments
from worldmodels.data import resolve
from worldmodels.data import soundness
from worldmodels.data import tasks
from worldmodels.data import workers

NAMES = sorted(
  path.stem
  for path in pathlib.Path(tasks.__file__).parent.glob('*.py')
  if path.stem != '__init__'
)


def test_the_tasks_found_are_the_files_that_are_there():
  assert {'hill', 'juggle'} <= set(NAMES)
  assert resolve.own_tasks() == NAMES


@pytest.mark.parametrize('name', NAMES)
def test_a_task_is_sound(name):
  with workers.start(name) as worker, workers.start(name, 9) as other:
    episodes = [soundness.play(worker, seed) for seed in range(2)]
    again, else_ = soundness.play(worker, 0, 20), soundness.play(worker, 5, 20)
    assert not soundness.problems(episodes, again, else_)
    elsewhere = soundness.play(other, 0)
    assert worker.step_limit is None or all(
      len(episode['reward']) - 1 <= worker.step_limit for episode in episodes
    )
  for key, value in episodes[0].items():
    np.testing.assert_array_equal(value, elsewhere[key])
  episode = episodes[0]
  assert episode['is_first'].nonzero()[0].tolist() == [0]
  assert episode['is_last'].nonzero()[0].tolist() == [len(episode['image']) - 1]
  assert episode['action'].std() > 0 and episode['reward'].std() > 0


@pytest.mark.parametrize('name', NAMES)
def test_vectors_of_a_task_are_as_promised(name):
  source = resolve.resolve(name)
  promised = source.load(0).observation_spec()
  vectors = [key for key in promised if key != 'image']
  with workers.start(name, vectors=vectors) as worker:
    first = worker.reset()
    random = np.random.default_rng(0)
    second = worker.step(
      actions.sample(random, worker.action_size, worker.discrete)
    )
    for timestep in (first, second):
      for key, spec in worker.observation_spec().items():
        spec.validate(timestep.observation[key])


@pytest.mark.parametrize('name', NAMES)
def test_a_task_keeps_the_contract_of_dm_env(name):
  class Contract(test_utils.EnvironmentTestMixin, unittest.TestCase):
    def make_object_under_test(self):
      return resolve.resolve(name).load(0)

    def make_action_sequence(self):
      return (self.make_action() for _ in range(60))  # Beyond every end.

  result = unittest.TestResult()
  unittest.defaultTestLoader.loadTestsFromTestCase(Contract).run(result)
  assert result.testsRun >= 4
  assert result.wasSuccessful(), result.failures + result.errors


# ------------------------------------------------------------------- hill ----


def balance(env, gains, late=0):
  """Return of a controller that pushes towards the top, some steps late."""
  timestep, total = env.reset(), 0.0
  waiting = [np.zeros(1)] * late
  while not timestep.last():
    state = timestep.observation
    push = -gains[0] * state['position'] - gains[1] * state['velocity']
    waiting.append(np.clip(push, -1, 1))
    timestep = env.step(waiting.pop(0))
    total += timestep.reward
  return total


def mean(*arguments, **options):
  env = environments.make('hill', 0, vectors=['position', 'velocity'])
  return np.mean([balance(env, *arguments, **options) for _ in range(20)])


def test_hill_tells_good_agents_from_bad_ones():
  env = environments.make('hill', 0)
  random = [soundness.play(env, seed)['reward'].sum() for seed in range(20)]
  good = mean((6, 6))
  assert good > 45  # Of 50.
  assert np.mean(random) < 0.3 * good
  assert mean((6, 0)) < 0.85 * good  # Velocity matters, and no image shows it.
  assert mean((6, 6), late=1) < 0.5 * good  # So does the time of an action.
  assert mean((0, 0)) < 0.2 * good


def test_hill_is_seen_where_it_is():
  env = environments.make('hill', 0, vectors=['position'])
  for _ in range(10):
    observation = env.reset().observation
    ball = (observation['image'] == [255, 120, 40]).all(-1)
    column = ball.nonzero()[1].mean()
    expected = 31.5 + 24 * observation['position'][0]
    assert abs(column - expected) < 0.6
    assert ball.sum() > 100  # Three percent of the image.


# ----------------------------------------------------------------- juggle ----


def steer(env, seed, ahead=1.0, late=0):
  """Return of a bat that goes where the ball will be, some steps late."""
  timestep, total = env.reset(seed), 0.0
  waiting = [1] * late
  while not timestep.last():
    state = timestep.observation
    goal = state['ball'][0] + ahead * state['velocity'][0]
    goal = goal if abs(goal) <= 1 else 2 * np.sign(goal) - goal
    way = goal - state['bat'][0]
    waiting.append(1 + int(np.sign(way)) * (abs(way) > 1 / 12))
    timestep = env.step(np.eye(3)[waiting.pop(0)])
    total += timestep.reward
  return total


def test_juggle_tells_good_agents_from_bad_ones():
  env = environments.make('juggle', 0, vectors=['ball', 'velocity', 'bat'])
  assert env.discrete and env.action_size == 3 and env.step_limit == 50

  def mean(play):
    return np.mean([play(seed) for seed in range(20)])

  good = mean(lambda seed: steer(env, seed))
  assert good > 43  # Of 50.
  assert (
    mean(lambda seed: soundness.play(env, seed)['reward'].sum()) < 0.25 * good
  )
  # Where the ball is heading matters, and no image shows it.
  assert mean(lambda seed: steer(env, seed, ahead=0.0)) < 0.9 * good
  assert mean(lambda seed: steer(env, seed, late=1)) < 0.9 * good


def test_juggle_is_seen_where_it_is():
  env = environments.make('juggle', 0, vectors=['ball', 'bat'])
  for _ in range(10):
    observation = env.reset().observation
    for color, place, size in (
      ([255, 200, 60], observation['ball'][0], 130),
      ([80, 220, 120], observation['bat'][0], 100),
    ):
      seen = (observation['image'] == color).all(-1)
      assert seen.sum() > size
      middle = (seen.any(0).nonzero()[0][[0, -1]]).mean()
      assert abs(middle - (31.5 + 24 * place)) < 1.1


def test_juggle_keeps_within_its_walls():
  env = environments.make('juggle', 0, vectors=['ball', 'velocity', 'bat'])
  for index in (0, 2):
    timestep = env.reset(index)
    speed = np.abs(timestep.observation['velocity'])
    places = []
    while not timestep.last():
      timestep = env.step(np.eye(3)[index])
      state = timestep.observation
      assert np.abs(state['ball']).max() <= 1
      np.testing.assert_array_equal(np.abs(state['velocity']), speed)
      places.append(state['bat'][0])
    assert places[-1] == index - 1
    assert (np.diff(places) * (index - 1) >= 0).all()
