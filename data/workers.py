"""Runs environments in processes of their own.

TensorFlow and OpenGL in software crash in one process, a simulator may crash or
hang, and rendering should have a core of its own. So each environment runs in a
process started with `python -m` (fork and spawn would bring TensorFlow along),
and ends with the one that started it. A worker that dies, hangs or raises is
reported with its cause, and can be restarted.
"""

from collections.abc import Sequence
from typing import Any

import dm_env
import numpy.typing as npt
from dm_env import specs

from worldmodels import errors
from worldmodels.data import actions
from worldmodels.data import channel
from worldmodels.data import environments
from worldmodels.data import graphics
from worldmodels.data import worker_process


class WorkerError(errors.UserError):
  """A worker died, hung or raised; the message has the cause in one line."""


def start(
  task: str,
  seed: int = 0,
  *,
  timeout: float = 60,
  start_timeout: float = 120,
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
    step_limit: agent_steps per episode, or None if the task does not say.
    pid: of the process.
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

  def receive(self) -> dm_env.TimeStep:
    """Waits for the step that was sent."""
    if not self._pending:
      raise RuntimeError('receive without a step that was sent')
    fields, observation = self._receive(self._timeout)
    return dm_env.TimeStep(
      dm_env.StepType(fields['step_type']),
      fields['reward'],
      fields['discount'],
      observation,
    )

  def action_spec(self) -> specs.BoundedArray:
    return actions.spec(self.action_size, self.discrete)

  def observation_spec(self) -> dict[str, specs.Array]:
    return environments.observation_spec(self._shapes)

  def reward_spec(self) -> specs.Array:
    return environments.reward_spec()

  def close(self) -> None:
    """Ends the process; may be called twice."""
    self._process.close()

  @property
  def output(self) -> str:
    """The end of the output of the worker and its task."""
    return self._process.output()

  def _start(self) -> None:
    self._process = worker_process.WorkerProcess()
    self.pid = self._process.pid
    self._pending = False
    self._send(self._arguments)
    fields, _ = self._receive(self._start_timeout)
    self._shapes = {k: tuple(v) for k, v in fields['shapes'].items()}
    self.action_size = fields['action_size']
    self.discrete = fields['discrete']
    self.action_repeat = fields['action_repeat']
    self.step_limit = fields['step_limit']
    self.quality = fields['quality']

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

  def _receive(self, timeout: float) -> tuple[channel.Fields, channel.Arrays]:
    try:
      fields, arrays = self._process.channel.receive(timeout)
    except channel.ClosedError as error:
      raise self._died() from error
    except TimeoutError as error:
      self._process.kill()
      raise WorkerError(
        f'worker of {self.task!r} gave no answer for {timeout:g} s and was '
        f'killed{self._last_words()}'
      ) from error
    except BaseException:  # Ctrl-C: its answer would be taken for the next.
      self._process.kill()
      raise
    self._pending = False
    if 'error' in fields:
      self.close()
      raise self._failed(fields)
    self._process.bound_output()
    return fields, arrays

  def _failed(self, fields: channel.Fields) -> Exception:
    """Makes the error that the environment raised, to be raised here."""
    message = fields['message']
    known = (environments.TaskError, graphics.GraphicsError)
    for kind in known:
      if fields['error'] == kind.__name__:
        return kind(message)
    if fields['mendable']:
      return errors.UserError(message)
    return WorkerError(
      f'task {self.task!r} raised {fields["error"]}: {message} '
      f'({fields["place"]})'
    )

  def _died(self) -> WorkerError:
    cause = self._process.close_and_explain()
    return WorkerError(
      f'worker of {self.task!r} died: {cause}{self._last_words()}'
    )

  def _last_words(self) -> str:
    lines = self.output.splitlines()
    return f'; it last printed: {lines[-1]}' if lines else ''
