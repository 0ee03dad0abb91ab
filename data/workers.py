"""Runs environments in processes of their own.

TensorFlow and OpenGL in software crash in one process, a simulator may crash or
hang, and rendering should have a core of its own. So each environment runs in a
process started with `python -m` (fork and spawn would bring TensorFlow along),
and ends with the one that started it; so does all that its task has started. A
worker that dies, hangs, raises or sends what is no message is reported with its
cause, and can be restarted.
"""

import operator
from collections.abc import Sequence
from typing import Any

import dm_env
import numpy as np
import numpy.typing as npt
from dm_env import specs

from worldmodels import errors
from worldmodels.data import actions
from worldmodels.data import channel
from worldmodels.data import environments
from worldmodels.data import graphics
from worldmodels.data import observations
from worldmodels.data import rows
from worldmodels.data import worker_process

# Seconds that a reset or a step may take, and the environment to come up.
STEP_SECONDS, START_SECONDS = 60, 120

_LONGEST = 600  # characters of what a worker says of itself


class WorkerError(errors.UserError):
  """A worker died, hung or raised; the message has the cause in one line."""


def start(
  task: str,
  seed: int = 0,
  *,
  timeout: float = STEP_SECONDS,
  start_timeout: float = START_SECONDS,
  **options: int | str | Sequence[str],
) -> 'Worker':
  """Starts an environment in a process of its own.

  Args:
    task: see environments.make.
    seed: see environments.make.
    timeout: seconds after which a reset or a step counts as hung.
    start_timeout: seconds for the environment to come up.
    **options: further arguments of environments.make.

  Raises:
    TaskError: the task does not exist or breaks a rule.
    GraphicsError: no OpenGL to render with.
    UserError: an option has a value that does not exist.
    WorkerError: the worker died, hung or raised.
  """
  return Worker(task, seed, timeout, start_timeout, options)


class Worker(dm_env.Environment):
  """An environment in a process of its own, see `start`.

  Attributes:
    task: the name it was made from.
    quality: of the rendering.
    action_repeat: env_steps per agent_step.
    action_size: A.
    discrete: whether actions are one-hot.
    bounds: the task's own, [low, high] of each part of a continuous action.
    step_limit: agent_steps per episode, or None if nobody says, see limits.py.
    ends_early: whether an episode may end before its time.
    pid: of the process that has the environment.
  """

  def __init__(
    self,
    task: str,
    seed: int,
    timeout: float,
    start_timeout: float,
    options: dict[str, Any],
  ):
    self.task = task
    self._arguments = {'task': task, 'seed': int(seed), **options}
    self._timeout = timeout
    self._start_timeout = start_timeout
    self._start()

  def restart(self) -> None:
    """Ends the process and starts another one with the same arguments.

    Its random numbers begin anew: reset it with a seed.
    """
    self.close()
    self._start()

  def reset(self, seed: int | None = None) -> dm_env.TimeStep:
    """Starts an episode, which with a seed is a pure function of the seed."""
    self._send({'seed': None if seed is None else int(seed)})
    return self.receive()

  def step(self, action: npt.ArrayLike) -> dm_env.TimeStep:
    self.send(action)
    return self.receive()

  def send(self, action: npt.ArrayLike) -> None:
    """Starts a step; do something else, then `receive` its result.

    Args:
      action: [A] in [-1, 1], or one-hot.

    Raises:
      ValueError: see actions.check.
    """
    action = actions.check(action, self.action_size, self.discrete)
    self._send({}, {'action': action})

  def receive(self) -> rows.TimeStep:
    """Waits for the step that was sent."""
    if not self._pending:
      raise RuntimeError('receive without a step that was sent')
    fields, observation = self._receive(self._timeout, 'step')
    try:
      kind = dm_env.StepType(fields['step_type'])
      numbers = [_number(fields[key]) for key in ('reward', 'discount')]
      env_steps = operator.index(fields['env_steps'])
    except (KeyError, TypeError, ValueError) as error:
      raise self._garbled(f'{error!r} of a step') from error
    found = {key: (x.shape, x.dtype) for key, x in observation.items()}
    if found != self._observed:
      raise self._garbled(f'it observes {list(found)}')
    return rows.TimeStep(kind, *numbers, observation, env_steps=env_steps)

  def simulate(self, sequences: npt.NDArray[np.floating]) -> None:
    """Starts to try actions [N, H, A] in the task, which stays where it is."""
    self._send({}, {'tried': sequences})

  def simulated(self) -> tuple[np.ndarray, np.ndarray]:
    """Waits for (rewards, discounts) [N, H] of what `simulate` has sent."""
    _, found = self._receive(self._timeout, 'step')
    if {*found} != {'rewards', 'discounts'}:
      raise self._garbled(f'{list(found)} of a simulation')
    return found['rewards'], found['discounts']

  def action_spec(self) -> specs.BoundedArray:
    return actions.spec(self.action_size, self.discrete)

  def observation_spec(self) -> dict[str, specs.Array]:
    return observations.observation_spec(self._shapes)

  def reward_spec(self) -> specs.Array:
    return observations.reward_spec()

  def close(self) -> None:
    """Ends the process; may be called twice."""
    self._process.close()

  def interrupt(self) -> None:
    """Ends the process by force, also while another thread waits for it.

    To that thread it has died.
    """
    self._process.interrupt()

  @property
  def output(self) -> str:
    """The end of the output of the worker and its task."""
    return self._process.output()

  def _start(self) -> None:
    self._process = worker_process.WorkerProcess()
    self.pid = self._process.pid
    self._pending = False
    self._send(self._arguments)
    fields, _ = self._receive(self._start_timeout, 'start')
    try:
      self.pid = fields['pid']
      self._shapes = {k: tuple(v) for k, v in fields['shapes'].items()}
      self.action_size = fields['action_size']
      self.discrete = fields['discrete']
      self.bounds = fields['bounds']
      self.action_repeat = fields['action_repeat']
      self.step_limit = fields['step_limit']
      self.ends_early = fields['ends_early']
      self.quality = fields['quality']
    except (AttributeError, KeyError, TypeError) as error:
      raise self._garbled(f'{error!r} of a description') from error
    self._observed = {
      key: (spec.shape, spec.dtype)
      for key, spec in self.observation_spec().items()
    }

  def _send(
    self, fields: channel.Fields, arrays: channel.Arrays | None = None
  ) -> None:
    if self._process.closed:
      raise WorkerError(f'worker of {self.task!r} is closed: restart it')
    if self._pending:
      raise RuntimeError('receive the step that was sent before another one')
    try:
      self._process.channel.send(fields, arrays)
    except BrokenPipeError as error:
      raise self._died() from error
    self._pending = True

  def _receive(
    self, timeout: float, what: str
  ) -> tuple[channel.Fields, channel.Arrays]:
    """Waits for an answer, to a request to `start` or to `step`."""
    try:
      fields, arrays = self._process.channel.receive(timeout)
    except channel.ClosedError as error:
      raise self._died() from error
    except channel.GarbledError as error:
      raise self._garbled(str(error)) from error
    except TimeoutError as error:
      self._process.kill()
      raise WorkerError(
        f'worker of {self.task!r} gave no answer for {timeout:g} s and was '
        f'killed (a longer limit: --{what}_timeout){self._last_words()}'
      ) from error
    except BaseException:  # Ctrl-C: its answer would be taken for the next.
      self._process.kill()
      raise
    self._pending = False
    if 'error' in fields:
      self.close()
      raise self._failed(fields)
    return fields, arrays

  def _failed(self, fields: channel.Fields) -> Exception:
    """Makes the error that the environment raised, to be raised here."""
    error, message, place = (
      _plain(str(fields.get(key))) for key in ('error', 'message', 'place')
    )
    known = (environments.TaskError, graphics.GraphicsError)
    for kind in known:
      if error == kind.__name__:
        return kind(message)
    if fields.get('mendable') is True:
      return errors.UserError(message)
    return WorkerError(
      f'task {self.task!r} raised {error}: {message} ({place})'
    )

  def _garbled(self, problem: str) -> WorkerError:
    """Ends a worker that cannot be understood; returns the error to raise."""
    self._process.kill()
    return WorkerError(
      f'worker of {self.task!r} sent what is no message and was killed '
      f'({_plain(problem)}): does the task write to file descriptors that are '
      f'not its own?{self._last_words()}'
    )

  def _died(self) -> WorkerError:
    cause = self._process.close_and_explain()
    return WorkerError(
      f'worker of {self.task!r} died: {cause}{self._last_words()}'
    )

  def _last_words(self) -> str:
    lines = self.output.splitlines()
    return f'; it last printed: {_plain(lines[-1])}' if lines else ''


def _number(value: object) -> float | None:
  """Returns a number of a message, or None; raises TypeError otherwise."""
  if value is not None and type(value) not in (int, float):
    raise TypeError(f'{type(value).__name__} is no number')
  return value


def _plain(text: str) -> str:
  """Returns text without what a terminal would not print, cut if very long."""
  text = ''.join(c if c.isprintable() else ' ' for c in text[: _LONGEST + 1])
  return text if len(text) <= _LONGEST else f'{text[:_LONGEST]}...'
