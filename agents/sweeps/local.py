"""Runs commands on this machine, each on cores and a GPU of its own.

`Local` is what a sweep knows of where its commands run: `start` gives one to a
place that is free, and says later how it has ended. Another class with the same
methods runs them elsewhere: agents/cluster/sweeping.py.
"""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from worldmodels import checkout
from worldmodels.agents.runs import machine

# What a program may take to end after Ctrl-C, by itself and by force.
SECONDS = 6.5

# Else the first of those that share a GPU takes all of its memory.
GROWTH = 'TF_FORCE_GPU_ALLOW_GROWTH'

_GPUS = 'CUDA_VISIBLE_DEVICES'


class Command:
  """A command that was started."""

  def __init__(self, process: subprocess.Popen, place: int):
    self.place = place
    self._process = process

  def ended(self) -> int | None:
    """Returns its exit status, negative for a signal; None while it runs."""
    return self._process.poll()

  def stop(self) -> None:
    """Asks it to stop, as Ctrl-C does."""
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    with contextlib.suppress(ProcessLookupError):
      self._process.send_signal(signal.SIGTERM if ignored else signal.SIGINT)

  def kill(self) -> None:
    """Ends it at once."""
    with contextlib.suppress(ProcessLookupError):
      self._process.kill()
    self._process.wait()


class Local:
  """Places for commands on this machine.

  Args:
    count: of places.
    start: makes of (program, flags) the arguments of a process, which ends
      when this one does.
  """

  def __init__(
    self, count: int, start: Callable[[str, Sequence[str]], list[str]]
  ):
    self._free = list(range(count))
    self._arguments = start
    self._cores = shares(sorted(os.sched_getaffinity(0)), count)
    self._gpus = shares(gpus(), count)

  @property
  def says(self) -> str:
    """How many commands run at a time, and on what."""
    cores, count = machine.cores(), len(self._cores)
    shared = ' that they share' if count > cores else ''
    return f'{count} at a time, on {cores} cores{shared}'

  @property
  def free(self) -> bool:
    """Whether a command can be started."""
    return bool(self._free)

  def news(self) -> list[str]:
    """Returns what there is to say of the place since it was last asked."""
    return []

  def start(
    self,
    program: str,
    flags: Sequence[str],
    log: pathlib.Path,
    output: pathlib.Path | None,
  ) -> Command:
    """Starts a program of `worldmodels`, where there is a free place.

    Args:
      program: its name.
      flags: of it.
      log: gets what it prints, after what is there.
      output: gets what it prints on stdout instead.

    Raises:
      OSError: a file cannot be written.
    """
    place = self._free[0]
    with contextlib.ExitStack() as stack:
      said: IO[bytes] = stack.enter_context(open(log, 'ab'))
      found = (
        said if output is None else stack.enter_context(open(output, 'wb'))
      )
      # A group of its own: Ctrl-C at the terminal comes from here, and once.
      process = subprocess.Popen(
        self._arguments(program, flags),
        stdin=subprocess.DEVNULL,
        stdout=found,
        stderr=said,
        env={**os.environ, **self._variables(place)},
        process_group=0,
      )
    # It has just begun, and so have all threads that it will have.
    with contextlib.suppress(ProcessLookupError):
      os.sched_setaffinity(process.pid, self._cores[place])
    self._free.remove(place)
    return Command(process, place)

  def leave(self, command: Command) -> None:
    """Frees the place of a command that has ended."""
    self._free = sorted([*self._free, command.place])

  def _variables(self, place: int) -> Mapping[str, str]:
    """Returns variables of the environment of what runs at a place."""
    found = {'PYTHONPATH': search_path()}
    if self._gpus[place]:
      found[_GPUS] = ','.join(self._gpus[place])
      found[GROWTH] = 'true'
    return found


def stop(commands: Sequence[Command]) -> None:
  """Stops commands; those that do not end in time are killed."""
  for command in commands:
    command.stop()
  end = time.monotonic() + SECONDS
  while any(x.ended() is None for x in commands) and time.monotonic() < end:
    time.sleep(0.05)
  for command in commands:
    command.kill()


def shares(things: Sequence, count: int) -> list[list]:
  """Shares things out among so many; where they are too few, some share one.

  Args:
    things: cores, or GPUs; where there are none, each gets none.
    count: of those who get some.
  """
  if not things:
    return [[] for _ in range(count)]
  return [
    list(things[place::count]) or [things[place % len(things)]]
    for place in range(count)
  ]


def gpus() -> list[str]:
  """Returns the names of the NVIDIA GPUs that programs would use."""
  visible = os.environ.get(_GPUS)
  if visible is not None:
    return [x for x in visible.split(',') if x and x != '-1']
  with contextlib.suppress(OSError):
    names = [re.fullmatch(r'nvidia(\d+)', x) for x in os.listdir('/dev')]
    return sorted((x[1] for x in names if x), key=int)
  return []


def search_path() -> str:
  """Returns where Python looks for modules: in a checkout, here first."""
  inherited = os.environ.get('PYTHONPATH')
  return os.pathsep.join(filter(None, [*checkout.roots(), inherited]))
