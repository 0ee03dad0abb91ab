"""Trying actions in a task: it is where it was, and what was tried comes."""

import threading

import numpy as np
import pytest
import strange_tasks

from worldmodels.data import actions
from worldmodels.data import environments
from worldmodels.data import simulation
from worldmodels.data import workers

LENGTH, BEFORE = 6, 4
ZEROS = np.zeros([2, LENGTH, 2])


def make(task='Task', **options):
  return environments.make(f'tests.strange_tasks:{task}', **options)


# ------------------------------------------------------------ what comes ------


@pytest.mark.parametrize(
  'task, options',
  [
    ('hill', {}),
    ('juggle', {}),
    ('cartpole_swingup', {}),
    ('reacher_easy', {}),  # Where the ball is belongs to the model.
    ('gymnasium:CartPole-v1', dict(image='none', vectors=['observation'])),
  ],
)
def test_what_was_tried_comes_and_nothing_else_changes(task, options):
  random = np.random.default_rng(0)
  with workers.start(task, quality='fast', **options) as worker:
    kind = (random, worker.action_size, worker.discrete)
    before = [actions.sample(*kind) for _ in range(BEFORE)]
    tried = [[actions.sample(*kind) for _ in range(LENGTH)] for _ in range(3)]
    alone = play(worker, [*before, *tried[1]])
    worker.reset(3)
    for action in before:
      worker.step(action)
    worker.simulate(np.array(tried))
    rewards, discounts = worker.simulated()
    after = [worker.step(action) for action in tried[1]]
  assert rewards.shape == discounts.shape == (3, LENGTH)
  assert rewards[1].tolist() == [timestep.reward for timestep in after]
  assert discounts[1].tolist() == [timestep.discount for timestep in after]
  for timestep, known in zip(after, alone[BEFORE:], strict=True):
    assert timestep.reward == known.reward
    for key, value in timestep.observation.items():
      np.testing.assert_array_equal(value, known.observation[key])


def play(worker, taken):
  worker.reset(3)
  return [worker.step(action) for action in taken]


def test_after_the_end_nothing_comes():
  environment = make(action_repeat=3)  # It ends after ten steps.
  environment.reset(0)
  rewards, discounts = environment.simulate(ZEROS)
  assert rewards.tolist() == [[6, 15, 24, 10, 0, 0]] * 2
  assert discounts.tolist() == [[1] * LENGTH] * 2
  # A limit may come before it.
  environment = make(action_repeat=3, step_limit=5)
  environment.reset(0)
  assert environment.simulate(ZEROS)[0].tolist() == [[6, 9, 0, 0, 0, 0]] * 2
  environment.step([0, 0])
  assert environment.simulate(ZEROS)[0].tolist() == [[9, 0, 0, 0, 0, 0]] * 2
  environment.step([0, 0])
  assert environment.simulate(ZEROS)[0].tolist() == [[0] * LENGTH] * 2


def test_an_end_has_its_discount():
  task = strange_tasks.Task(0)
  task.steps, task.last_discount = 2, 0.0
  task.reset()
  rewards, discounts = simulation.attempt(task, ZEROS, repeat=1, most=100)
  assert rewards[0].tolist() == [1, 2, 0, 0, 0, 0]
  assert discounts[0].tolist() == [1, 0, 1, 1, 1, 1]
  assert task.count == 0


def test_no_sequence_is_none():
  environment = make()
  environment.reset(0)
  assert environment.simulate(np.zeros([0, 3, 2]))[0].shape == (0, 0)


# ------------------------------------------------------------ what cannot ----


class Locked(strange_tasks.Task):
  """Has a part that cannot be copied."""

  def __init__(self, seed):
    super().__init__(seed)
    self.lock = threading.Lock()


class Compiled(strange_tasks.Task):
  """Says that it is one of dm_control.composer."""

  __module__ = 'dm_control.composer.environment'


@pytest.mark.parametrize(
  'task, message',
  [
    (
      strange_tasks.Chancy,
      'the same actions from the same place gave other rewards',
    ),
    (Locked, r'it cannot be copied \(TypeError: .*environment.image=none'),
    (Compiled, 'dm_control.composer.*nothing can be tried'),
  ],
)
def test_what_cannot_be_put_back_is_refused(task, message):
  made = task(0)
  made.reset()
  with pytest.raises(ValueError, match=message):
    simulation.attempt(made, ZEROS, repeat=1, most=100)


def test_a_refusal_names_the_task():
  environment = make('Chancy')
  environment.reset(0)
  with pytest.raises(environments.TaskError, match='Chancy.*other re'):
    environment.simulate(ZEROS)
