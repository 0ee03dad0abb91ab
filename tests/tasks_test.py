"""Every file in data/tasks is under these tests the moment it exists."""

import pathlib

import numpy as np
import pytest

from data import check
from data import environments
from data import resolve
from data import tasks
from data import workers

NAMES = sorted(
  path.stem
  for path in pathlib.Path(tasks.__file__).parent.glob('*.py')
  if path.stem != '__init__'
)


def test_the_tasks_found_are_the_files_that_are_there():
  assert 'hill' in NAMES
  assert resolve.own_tasks() == NAMES


@pytest.mark.parametrize('name', NAMES)
def test_a_task_is_sound(name):
  with workers.start(name) as worker, workers.start(name, 9) as other:
    episodes = [check.play(worker, seed) for seed in range(2)]
    again, else_ = check.play(worker, 0, 20), check.play(worker, 5, 20)
    assert not check.problems(episodes, again, else_)
    elsewhere = check.play(other, 0)
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
    second = worker.step(worker.action_spec().maximum * np.ones(1))
    for timestep in (first, second):
      for key, spec in worker.observation_spec().items():
        spec.validate(timestep.observation[key])


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
  random = [check.play(env, seed)['reward'].sum() for seed in range(20)]
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
