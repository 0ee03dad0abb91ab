"""Environments as agents see them: they show images and take action vectors.

`make` wraps a task of dm_control.suite, of data/tasks or of a module of one's
own so that all of them observe `image`, repeat actions, sum rewards, end, and
refuse what would otherwise spoil a run in silence. A task gets copies of what
it is told, and what it returns is copied. This never imports TensorFlow, and
dm_control only for tasks that need it. Rendering in software crashes in a
process that has TensorFlow: programs start environments with workers.py.
"""

import contextlib
import inspect
import math
from collections.abc import Iterator, Sequence

import dm_env
import numpy as np
import numpy.typing as npt
from dm_env import specs

from worldmodels import errors
from worldmodels.data import actions
from worldmodels.data import composer
from worldmodels.data import frames
from worldmodels.data import limits
from worldmodels.data import observations
from worldmodels.data import resolve
from worldmodels.data import rows
from worldmodels.data import simulation
from worldmodels.data import view

TaskError = resolve.TaskError
AUTO = view.AUTO


def make(
  task: str,
  seed: int = 0,
  *,
  size: int = 64,
  action_repeat: int = 0,
  quality: str = 'near',
  camera: str | int = AUTO,
  vectors: Sequence[str] = (),
  step_limit: int = 0,
  image: str = AUTO,
  crop: Sequence[int] = (),
  gray: bool = False,
) -> 'Environment':
  """Makes an environment that shows images, or vectors alone.

  Args:
    task: a file in data/tasks (`hill`), a dm_control.suite task
      (`cartpole_swingup`), `locomotion/NAME` or `manipulation/NAME` of
      dm_control, `gymnasium:ID`, or `module.path:function`.
    seed: of the task's random numbers, from 0 to 2**32 - 1.
    size: height and width of the image in pixels.
    action_repeat: env_steps for which an action is held; 0 for the task's own:
      PlaNet's table and 2 elsewhere for the suite, ACTION_REPEAT of the module
      or 1 for other tasks.
    quality: `exact`, `near` or `fast`, see rendering.py; a task that draws
      itself ignores it.
    camera: name or index of one of the model's, -1 for MuJoCo's free one.
    vectors: names of the task's observations to return beside the image.
    step_limit: env_steps after which an episode is cut, unless the task ends it
      before; 0 for the task's own limit, see limits.py.
    image: where it comes from: `observed`, `rendered`, `none` for vectors
      alone, or `auto` for the first of them that there is.
    crop: pixels that are cut off the pictures of Gymnasium: top, bottom, left
      and right; () for none.
    gray: whether the colors of those pictures are made alike.

  Returns:
    An environment whose observation has `image` uint8 [size, size, 3], unless
    there is none, and each name of `vectors` as float32 [N], and whose action
    is [A]: in [-1, 1], or one-hot where the task offers A choices.

  Raises:
    TaskError: the task does not exist or breaks a rule.
    GraphicsError: no OpenGL to render with.
    OptionError: there is no such quality or camera.
  """
  if size < 1 or action_repeat < 0 or step_limit < 0:
    raise TaskError(
      f'size {size}, action_repeat {action_repeat} or step_limit {step_limit} '
      'is too small'
    )
  seen = view.View(
    frames.Framing(size, tuple(crop), gray),
    image,
    quality,
    camera,
    tuple(vectors),
  )
  return Environment(
    task,
    resolve.resolve(task),
    seed,
    view=seen,
    action_repeat=action_repeat,
    step_limit=step_limit,
  )


class Environment(dm_env.Environment):
  """A task as agents see it, see `make`.

  Attributes:
    task: the name it was made from.
    quality: of the rendering.
    action_repeat: env_steps per agent_step.
    action_size: A.
    discrete: whether actions are one-hot.
    bounds: the task's own, [low, high] of each part of a continuous action.
    step_limit: agent_steps per episode, or None if nobody says: it is then cut
      after limits.UNNAMED env_steps.
    ends_early: whether an episode may end before its time: unless the task says
      `ends_early = False`, it may.
    global_random: whether episodes depend on NumPy's global random numbers by
      no fault of the task.
  """

  def __init__(
    self,
    task: str,
    source: resolve.Source,
    seed: int,
    *,
    view: view.View,
    action_repeat: int,
    step_limit: int,
  ):
    self.task = task
    self.quality = view.quality
    self.action_repeat = action_repeat or source.action_repeat
    if self.action_repeat < 1:
      raise self._error(
        f'its ACTION_REPEAT is {self.action_repeat}: expected at least 1'
      )
    self._source = source
    self._asked_limit = step_limit
    self._view = view
    self._over = True
    self._load(seed)

  def reseed(self, seed: int) -> None:
    """Makes the episodes from the next reset on a pure function of `seed`."""
    self._over = True
    own = getattr(self._env, 'reseed', None) or getattr(self._env, 'seed', None)
    random = composer.random_of(self._env)
    if _takes_one(own):
      own(seed)
    elif self._source.random_model or not hasattr(random, 'seed'):
      self.close()
      self._load(seed)
    else:
      random.seed(seed)

  def reset(self, seed: int | None = None) -> dm_env.TimeStep:
    """Starts an episode, after `reseed` if there is a seed."""
    if seed is not None:
      self.reseed(seed)
    timestep = composer.reset(self._env)
    self._over = False
    self._env_steps = 0
    with self._naming():
      observations.check_timestep(timestep, 'reset')
    return dm_env.restart(self._observe(timestep))

  def step(self, action: npt.ArrayLike) -> rows.TimeStep:
    action = self._actions.to_task(action)
    if self._over:
      return self.reset()
    reward, discount, held = 0.0, 1.0, 0
    while held < self.action_repeat and not self._over:
      timestep = self._env.step(action.copy())
      with self._naming():
        observations.check_timestep(timestep, 'step')
        reward += observations.number('reward', timestep.reward)
        discount *= observations.discount(timestep.discount)
      held += 1
      self._env_steps += 1
      self._over = timestep.last() or self._env_steps >= self._limit
    with self._naming():
      observations.number('reward', reward)  # The sum may be beyond float32.
    kind = dm_env.StepType.LAST if self._over else dm_env.StepType.MID
    observation = self._observe(timestep)
    return rows.TimeStep(kind, reward, discount, observation, env_steps=held)

  def simulate(self, sequences: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Tries actions [N, H, A] from where the episode is, and stays there.

    Returns:
      (rewards, discounts) [N, H] of agent_steps, see simulation.py.
    """
    most = 0 if self._over else self._limit - self._env_steps
    tried = [[*map(self._actions.to_task, actions)] for actions in sequences]
    with self._naming():
      return simulation.attempt(self._env, tried, self.action_repeat, most)

  def action_spec(self) -> specs.BoundedArray:
    return actions.spec(self.action_size, self.discrete)

  def observation_spec(self) -> dict[str, specs.Array]:
    return observations.observation_spec(self._observations.shapes)

  def reward_spec(self) -> specs.Array:
    return observations.reward_spec()

  @property
  def ends_early(self) -> bool:
    return bool(getattr(self._env, 'ends_early', self._source.ends_early))

  @property
  def global_random(self) -> bool:
    return composer.is_composer(self._env)

  @property
  def step_limit(self) -> int | None:
    return math.ceil(self._limit / self.action_repeat) if self._told else None

  def close(self) -> None:
    """Closes the task and frees its OpenGL context; may be called twice."""
    env, self._env = self._env, None
    if env is None:
      return
    env.close()
    if self._render and hasattr(env, 'physics'):
      with contextlib.suppress(ReferenceError):  # composer has freed its own.
        env.physics.free()

  def _load(self, seed: int) -> None:
    self._render = None
    self._env = self._view.adapt(self.task, self._source.load(seed), seed)
    for name in ('reset', 'step', 'action_spec', 'observation_spec', 'close'):
      if not callable(getattr(self._env, name, None)):
        raise self._error(
          f'load({seed}) returned a {type(self._env).__name__}, which has no '
          f'method {name!r}: expected a dm_env.Environment or a gymnasium.Env'
        )
    with self._naming():
      own = limits.of(self._env) or self._source.step_limit
    self._limit, self._told = limits.choose(own, self._asked_limit)
    self._set_actions()
    self._set_observation()

  def _set_actions(self) -> None:
    spec = self._env.action_spec()
    with self._naming():
      self._actions = actions.Actions(spec)
    self.action_size = self._actions.size
    self.discrete = self._actions.discrete
    self.bounds = self._actions.bounds

  def _set_observation(self) -> None:
    with self._naming():
      self._render, self._observations = self._view.open(
        self.task, self._env, self._source.camera
      )

  def _observe(self, timestep: dm_env.TimeStep) -> dict[str, np.ndarray]:
    image = self._render() if self._render else None
    with self._naming():
      return self._observations.read(timestep.observation, image)

  @contextlib.contextmanager
  def _naming(self) -> Iterator[None]:
    """Puts the name of the task before what it did wrong."""
    try:
      yield
    except errors.OptionError:
      raise
    except ValueError as error:
      raise self._error(str(error)) from error

  def _error(self, problem: str) -> TaskError:
    return TaskError(f'task {self.task!r}: {problem}')


def _takes_one(function: object) -> bool:
  """Returns whether something can be called with one argument."""
  if not callable(function):
    return False
  try:
    inspect.signature(function).bind(0)
  except TypeError:
    return False
  except ValueError:  # Of a function in C nothing is known.
    pass
  return True
