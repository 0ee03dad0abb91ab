"""Starts the process of a worker, and ends it with this one."""

import concurrent.futures
import functools
import os
import signal
import subprocess
import sys
import weakref

from worldmodels import checkout
from worldmodels.data import channel
from worldmodels.data import graphics
from worldmodels.data import tail

_PROGRAM = 'worldmodels.data.worker_main'
# How long a task may take to close, and what it has started to be killed.
_END_SECONDS, _KILL_SECONDS = 5, 5
_ONE_THREAD = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')
# Draws without a screen, and says nothing about itself.
_PYGAME = {
  'PYGAME_HIDE_SUPPORT_PROMPT': '1',
  'SDL_AUDIODRIVER': 'dummy',
  'SDL_VIDEODRIVER': 'dummy',
}
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL)


class WorkerProcess:
  """Runs worker_main.py.

  It ends when it is closed, forgotten, or when this process ends, and takes
  along what its task has started.

  Attributes:
    channel: to talk to it.
    pid: process id.
  """

  def __init__(self) -> None:
    self._output = tail.Tail()
    try:
      self._process = _starter().submit(_start, self._output.writing).result()
    finally:
      os.close(self._output.writing)
    self.pid = self._process.pid
    self.channel = channel.Channel(
      self._process.stdout.fileno(), self._process.stdin.fileno()
    )
    self._end = weakref.finalize(self, _end, self._process)

  @property
  def closed(self) -> bool:
    """Whether `close` or `kill` was called."""
    return not self._end.alive

  def close(self) -> None:
    """Ends the process, by force if need be; may be called twice."""
    self._end()

  def interrupt(self) -> None:
    """Ends the process by force; a thread that waits for it is told so."""
    if not self.closed:
      self._process.terminate()

  def kill(self) -> None:
    """Ends the process by force; may be called twice."""
    self.interrupt()
    self._end()

  def close_and_explain(self) -> str:
    """Closes a process that has stopped talking, and returns how it ended."""
    self._end()
    return _explain(self._process.returncode)

  def output(self) -> str:
    """Returns the end of the output of the process."""
    return self._output.text()


@functools.cache
def _starter() -> concurrent.futures.Executor:
  """Returns the thread that starts all workers.

  Linux ends a worker with the thread that started it, so that has to be one
  that lives as long as this process.
  """
  return concurrent.futures.ThreadPoolExecutor(1, 'start-workers')


# A fork has no thread of its parent.
os.register_at_fork(after_in_child=_starter.cache_clear)


def _start(output: int) -> subprocess.Popen:
  # In a session of its own, so that Ctrl-C reaches only this process, which
  # may want to finish something.
  return subprocess.Popen(
    [sys.executable, '-P', '-m', _PROGRAM, str(os.getpid())],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=output,
    bufsize=0,
    env=_variables(),
    start_new_session=True,
  )


def _variables() -> dict[str, str]:
  """Returns the environment variables of a worker."""
  try:
    backend = graphics.backend()
  except graphics.GraphicsError:
    backend = os.environ.get('MUJOCO_GL', '')  # Tasks that render will say so.
  # Tasks may lie in the current directory, wherever the program lies.
  path = [place or os.getcwd() for place in (*sys.path, '')]
  path += checkout.roots()
  return {
    'LP_NUM_THREADS': '0',  # A process per core beats llvmpipe's own threads.
    **_PYGAME,
    **dict.fromkeys(_ONE_THREAD, '1'),
    **os.environ,
    'MUJOCO_GL': backend,
    'PYTHONPATH': os.pathsep.join(dict.fromkeys(path)),
  }


def _end(process: subprocess.Popen) -> None:
  """Closes the channel, which ends a worker; kills it if it does not."""
  process.stdin.close()
  for seconds, force in (
    (_END_SECONDS, process.terminate),
    (_KILL_SECONDS, process.kill),
  ):
    try:
      process.wait(seconds)
      break
    except subprocess.TimeoutExpired:
      force()
  process.wait()
  process.stdout.close()


def _explain(status: int) -> str:
  """Explains an exit status."""
  if status >= 0:
    return f'exit status {status}'
  name = signal.Signals(-status).name
  if -status in _CRASHES:
    return f'{name}, a crash of the OpenGL driver or of the simulator'
  if -status == signal.SIGKILL:
    return f'{name}, out of memory or killed by someone'
  return name
