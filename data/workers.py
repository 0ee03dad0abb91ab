"""Environments in processes of their own.

TensorFlow and OpenGL in software crash in one process, a simulator may crash or
hang, and rendering should use a core of its own. So each environment runs in a
process started with `python -m` (fork and spawn bring TensorFlow along), and
dies with the one that started it. A worker that dies, hangs or raises is
reported with its cause.
"""

import concurrent.futures
import fcntl
import functools
import os
import signal
import subprocess
import sys
import tempfile
import weakref

import dm_env
import numpy as np
from dm_env import specs

from . import channel, environments, graphics

_TAIL = 2000  # bytes of a worker's output in an error
_OUTPUT_LIMIT = 1 << 20  # bytes after which a worker's output starts anew
_CLOSE_SECONDS = 5
_THREADS = (
    'OMP_NUM_THREADS',
    'OPENBLAS_NUM_THREADS',
    'MKL_NUM_THREADS',
)


class WorkerError(RuntimeError):
  """A worker died, hung or raised; the message has the cause in one line."""


def start(
    task: str,
    seed: int = 0,
    *,
    timeout: float = 60,
    start_timeout: float = 120,
    **options,
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
    step_limit: agent_steps per episode, or None if the task does not say.
    pid: of the process.
  """

  def __init__(self, task, seed, timeout, start_timeout, options):
    self.task = task
    self._arguments = {'task': task, 'seed': seed, **options}
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
    self._send({'seed': seed})
    return self.receive()

  def step(self, action) -> dm_env.TimeStep:
    self.send(action)
    return self.receive()

  def send(self, action) -> None:
    """Starts a step; do something else, then `receive` its result.

    Args:
      action: [A] in [-1, 1].

    Raises:
      ValueError: the action has a wrong shape or is out of bounds.
    """
    action = environments.check_action(action, self.action_size)
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
    return environments.action_spec(self.action_size)

  def observation_spec(self) -> dict[str, specs.Array]:
    return environments.observation_spec(self._shapes)

  def reward_spec(self) -> specs.Array:
    return specs.Array((), np.float64, 'reward')

  def close(self) -> None:
    """Ends the process; may be called twice."""
    self._end()

  @property
  def output(self) -> str:
    """The end of what the worker and its task printed."""
    size = os.fstat(self._log.fileno()).st_size
    tail = os.pread(self._log.fileno(), _TAIL, max(0, size - _TAIL))
    return tail.decode(errors='replace').strip()

  def _start(self) -> None:
    self._log = _open_log()
    self._process = _spawner().submit(_spawn, self._log).result()
    self.pid = self._process.pid
    self._channel = channel.Channel(
        self._process.stdout.fileno(), self._process.stdin.fileno()
    )
    # Also when the worker is forgotten or the program ends.
    self._end = weakref.finalize(self, _end, self._process)
    self._pending = False
    self._send(self._arguments)
    fields, _ = self._receive(self._start_timeout)
    self._shapes = {k: tuple(v) for k, v in fields['shapes'].items()}
    self.action_size = fields['action_size']
    self.action_repeat = fields['action_repeat']
    self.step_limit = fields['step_limit']
    self.quality = fields['quality']

  def _send(self, fields: dict, arrays: dict | None = None) -> None:
    if not self._end.alive:
      raise WorkerError(f'worker of {self.task!r} is closed: restart it')
    if self._pending:
      raise RuntimeError('receive the step that was sent before another one')
    try:
      self._channel.send(fields, arrays)
    except BrokenPipeError as error:
      raise self._died() from error
    self._pending = True

  def _receive(self, timeout: float) -> tuple[dict, dict]:
    self._pending = False
    try:
      fields, arrays = self._channel.receive(timeout)
    except EOFError as error:
      raise self._died() from error
    except TimeoutError as error:
      self._process.kill()
      self.close()
      raise WorkerError(
          f'worker of {self.task!r} gave no answer for {timeout:g} s and was '
          f'killed{self._last_words()}'
      ) from error
    if 'error' in fields:
      self.close()
      raise self._failed(fields)
    _bound_log(self._log)
    return fields, arrays

  def _failed(self, fields: dict) -> Exception:
    """The error that the task raised, as ours."""
    message = fields['message']
    if fields['error'] == 'TaskError':
      return environments.TaskError(message)
    if fields['error'] == 'GraphicsError':
      return graphics.GraphicsError(message)
    return WorkerError(
        f'task {self.task!r} raised {fields["error"]}: {message} '
        f'({fields["place"]})'
    )

  def _died(self) -> WorkerError:
    """The error that says how the process ended."""
    try:
      code = self._process.wait(_CLOSE_SECONDS)
    except subprocess.TimeoutExpired:
      self._process.kill()
      code = self._process.wait()
    self.close()
    return WorkerError(
        f'worker of {self.task!r} died: {_explain(code)}{self._last_words()}'
    )

  def _last_words(self) -> str:
    lines = self.output.splitlines()
    return f'; its last output: {lines[-1]}' if lines else ''


@functools.cache
def _spawner() -> concurrent.futures.Executor:
  """The thread that starts all workers.

  Linux ends a worker with the thread that started it, so that has to be one
  that lives as long as the program.
  """
  return concurrent.futures.ThreadPoolExecutor(1, 'workers')


def _spawn(log) -> subprocess.Popen:
  # In a session of its own, so that Ctrl-C reaches only the program, which may
  # still want to finish an episode.
  return subprocess.Popen(
      [sys.executable, '-m', f'{__package__}.worker_main', str(os.getpid())],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=log,
      bufsize=0,
      env=_environment(),
      start_new_session=True,
  )


def _environment() -> dict[str, str]:
  """The variables of a worker's process."""
  variables = {
      # One process per core is faster than llvmpipe's own threads.
      'LP_NUM_THREADS': '0',
      'MUJOCO_GL': _backend(),
      'PYTHONFAULTHANDLER': '1',
      **dict.fromkeys(_THREADS, '1'),
      **os.environ,
  }
  paths = [path or os.getcwd() for path in sys.path]
  return {**variables, 'PYTHONPATH': os.pathsep.join(paths)}


def _backend() -> str:
  try:
    return graphics.backend()
  except graphics.GraphicsError:
    return ''  # A task that draws itself needs none; others will say so.


def _open_log():
  """A file without a name, for what a worker prints."""
  log = tempfile.TemporaryFile(buffering=0)
  flags = fcntl.fcntl(log, fcntl.F_GETFL)
  fcntl.fcntl(log, fcntl.F_SETFL, flags | os.O_APPEND)
  return log


def _bound_log(log) -> None:
  if os.fstat(log.fileno()).st_size > _OUTPUT_LIMIT:
    os.ftruncate(log.fileno(), 0)


def _end(process: subprocess.Popen) -> None:
  """Asks a worker to end by closing its channel, and kills it if it does not."""
  process.stdin.close()
  try:
    process.wait(_CLOSE_SECONDS)
  except subprocess.TimeoutExpired:
    process.kill()
    process.wait()
  process.stdout.close()


def _explain(code: int) -> str:
  """What the exit status of a worker says."""
  if code in (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS):
    return (
        f'{signal.Signals(-code).name} (a crash of the OpenGL driver or of the '
        'simulator)'
    )
  if code == -signal.SIGKILL:
    return 'SIGKILL (out of memory, or killed by someone)'
  if code < 0:
    return signal.Signals(-code).name
  return f'exit status {code}'
