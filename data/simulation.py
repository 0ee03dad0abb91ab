"""Tries sequences of actions in a task, and leaves the task where it is.

So that a planner can have the simulator itself for a model. Of a task of
dm_control.suite the numbers of MuJoCo are kept and put back; any other task is
copied for each sequence. Nothing is observed or drawn meanwhile.
"""

import contextlib
import copy
import math
import sys
from collections.abc import Callable, Iterator, Sequence

import dm_env
import numpy as np

from worldmodels.data import composer
from worldmodels.data import observations

# Takes one step of a task: action -> (reward, discount, whether it has ended).
Step = Callable[[np.ndarray], tuple[float, float, bool]]


def attempt(
  env: dm_env.Environment,
  sequences: Sequence[Sequence[np.ndarray]],
  repeat: int,
  most: int,
) -> tuple[np.ndarray, np.ndarray]:
  """Tries sequences of actions, each from where the episode is.

  Args:
    env: a task, in the middle of an episode.
    sequences: N of them, each of H actions of the task's own spec.
    repeat: env_steps for which an action is held.
    most: env_steps that are left of the episode; after them nothing comes.

  Returns:
    (rewards [N, H], summed over the repeat, discounts [N, H]), float64; after
    the end of an episode rewards are 0.

  Raises:
    ValueError: the task cannot be put back where it was.
  """
  if not len(sequences) or not most:  # Nothing has to be put back.
    shape = len(sequences), len(sequences[0]) if len(sequences) else 0
    return np.zeros(shape), np.ones(shape)
  begun = _beginnings(env)
  found = [_follow(begun, actions, repeat, most) for actions in sequences]
  if not np.array_equal(_follow(begun, sequences[0], repeat, most), found[0]):
    raise ValueError(
      'the same actions from the same place gave other rewards: it keeps '
      'something (its random numbers, say) where no copy of it has them, so '
      'that nothing can be tried in it'
    )
  rewards, discounts = np.stack(found, 1)
  return rewards, discounts


def _follow(
  begun: Callable[[], contextlib.AbstractContextManager[Step]],
  actions: Sequence[np.ndarray],
  repeat: int,
  most: int,
) -> np.ndarray:
  """Returns rewards and discounts of one sequence of H actions, [2, H]."""
  found = np.zeros([2, len(actions)])
  found[1] = 1.0
  with begun() as step:
    left, over = most, False
    for number, action in enumerate(actions):
      for _ in range(min(repeat, left)):
        reward, discount, over = step(action)
        found[0, number] += reward
        found[1, number] *= discount
        left -= 1
        if over:
          break
      if over or not left:
        break
  return found


def _beginnings(
  env: dm_env.Environment,
) -> Callable[[], contextlib.AbstractContextManager[Step]]:
  """Returns what gives a step of the task as it is now, again and again."""
  if composer.is_composer(env):
    raise ValueError(
      'a task of dm_control.composer, which compiles its model anew, cannot be '
      'put back where it was: nothing can be tried in it'
    )
  control = sys.modules.get('dm_control.rl.control')
  own = control and control.Environment
  if own and type(env).step is own.step and type(env).reset is own.reset:
    return _of_suite(env)
  return lambda: _copied(env)


@contextlib.contextmanager
def _copied(env: dm_env.Environment) -> Iterator[Step]:
  """Gives the step of a copy of the task."""
  try:
    made = copy.deepcopy(env)
  except Exception as error:
    raise ValueError(
      f'it cannot be copied ({type(error).__name__}: {error}), so that nothing '
      'can be tried in it; where it is what draws that cannot be, '
      'environment.image=none with environment.vectors draws nothing'
    ) from error

  def step(action: np.ndarray) -> tuple[float, float, bool]:
    timestep = made.step(action.copy())
    observations.check_timestep(timestep, 'step')
    reward = observations.number('reward', timestep.reward)
    return reward, observations.discount(timestep.discount), timestep.last()

  yield step


def _of_suite(
  env: dm_env.Environment,
) -> Callable[[], contextlib.AbstractContextManager[Step]]:
  """Does what dm_control.rl.control.Environment does, but observes nothing."""
  import mujoco

  physics, task = env.physics, env.task
  model, data = physics.model.ptr, physics.data.ptr
  before = mujoco.MjData(model)
  mujoco.mj_copyData(before, model, data)
  random = getattr(task, 'random', None)
  drawn = random.get_state() if hasattr(random, 'get_state') else None
  steps = math.ceil(round(env.control_timestep() / physics.timestep(), 6))

  def step(action: np.ndarray) -> tuple[float, float, bool]:
    task.before_step(action, physics)
    physics.step(steps)
    task.after_step(physics)
    reward = observations.number('reward', task.get_reward(physics))
    ends = task.get_termination(physics)
    if ends is None:
      return reward, 1.0, False
    return reward, observations.discount(ends), True

  @contextlib.contextmanager
  def begun() -> Iterator[Step]:
    try:
      yield step
    finally:
      mujoco.mj_copyData(data, model, before)
      if drawn is not None:
        random.set_state(drawn)

  return begun
