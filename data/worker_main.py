"""Starts what serves an environment, and ends all that it leaves behind.

The program of a worker. worker_process.py starts it with PARENT, the process id
of the program that it ends with: `python -P -m worldmodels.data.worker_main
PARENT`.

It is two processes. The second one serves the environment (serving.py). The
first one, which imports next to nothing, keeps it: it ends the second one when
PARENT ends, however that ends, and then every process that the task has
started. On Linux those that outlive their own parents come to it, also from a
session of their own, so that it finds them all.
"""

import contextlib
import ctypes
import os
import pathlib
import resource
import select
import signal
import sys
import time

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36

_LOOK_SECONDS = 1  # How often to look whether PARENT is still there.
# How long what a task has started may take to end when it is asked to, and
# until the kernel has ended what was killed.
_ASKED_SECONDS, _KILLED_SECONDS = 0.5, 3


def main() -> None:
  """Serves one environment until the channel closes or PARENT ends."""
  parent, keeper = int(sys.argv[1]), os.getpid()
  _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
  _prctl(_PR_SET_CHILD_SUBREAPER, 1)
  if os.getppid() != parent:  # It ended before that.
    return
  served = os.fork()
  if served:
    _end_like(_Keeper(served, parent).keep())
  # A session of its own: what a task sends to its group is for that alone.
  os.setsid()
  _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
  if os.getppid() != keeper:
    return
  from worldmodels.data import serving

  serving.main()


class _Keeper:
  """Waits for a process, and ends what it leaves behind.

  Args:
    served: process id of a child.
    parent: process id of the program that all of it ends with.
  """

  def __init__(self, served: int, parent: int):
    self._served = served
    self._parent = parent
    self._status = None
    self._told_to_end = False
    # Signals end the waiting.
    self._wake, wake = os.pipe()
    os.set_blocking(self._wake, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGTERM, self._told)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The pipes are those of the process that serves.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)

  def keep(self) -> int:
    """Returns the status of the process, as os.waitpid has it."""
    while self._has_children() and self._status is None:
      if self._told_to_end or os.getppid() != self._parent:
        _send(self._served, signal.SIGKILL)
      select.select([self._wake], [], [], _LOOK_SECONDS)
      with contextlib.suppress(BlockingIOError):
        os.read(self._wake, 1 << 10)
    if sys.platform == 'linux':
      self._end_orphans(signal.SIGTERM, _ASKED_SECONDS)
      self._end_orphans(signal.SIGKILL, _KILLED_SECONDS)
    else:  # They go elsewhere; their group is all that is known of them.
      with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(self._served, signal.SIGKILL)
    return self._status or 0

  def _end_orphans(self, number: int, seconds: float) -> None:
    """Sends a signal to all processes below this one, until none is left."""
    deadline, pause = time.monotonic() + seconds, 0.001
    told = set()
    while self._has_children() and time.monotonic() < deadline:
      for pid in {*_descendants()} - told:
        _send(pid, number)
        told.add(pid)
      time.sleep(pause)
      pause = min(2 * pause, 0.05)

  def _has_children(self) -> bool:
    """Takes note of children that have ended; whether there are others."""
    try:
      while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == self._served:
          self._status = status
        if not pid:
          return True
    except ChildProcessError:
      return False

  def _told(self, *unused: object) -> None:
    self._told_to_end = True


def _descendants() -> list[int]:
  """Returns the process ids of all processes below this one (Linux)."""
  children = {}
  for path in pathlib.Path('/proc').glob('[0-9]*/stat'):
    with contextlib.suppress(OSError):  # It has ended meanwhile.
      # The name of a process, in parentheses, may have any characters.
      fields = path.read_bytes().rpartition(b')')[2].split()
      children.setdefault(int(fields[1]), []).append(int(path.parent.name))
  found = children.get(os.getpid(), [])
  for pid in found:
    found.extend(children.get(pid, []))
  return found


def _send(pid: int, number: int) -> None:
  """Sends a signal to a process that may have ended, or be another user's."""
  with contextlib.suppress(ProcessLookupError, PermissionError):
    os.kill(pid, number)


def _end_like(status: int) -> None:
  """Ends this process as the one with that status has ended."""
  if os.WIFSIGNALED(status):
    number = os.WTERMSIG(status)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # One is enough.
    if number != signal.SIGKILL:
      signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
  os._exit(os.WEXITSTATUS(status))


def _prctl(option: int, value: int) -> None:
  """Asks the kernel for something that concerns this process (Linux)."""
  if sys.platform == 'linux':
    ctypes.CDLL(None).prctl(option, value)


if __name__ == '__main__':
  main()
