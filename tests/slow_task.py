"""Our task `hill`, which does as it is told in the folder it is started in.

A file there that is called after the step of an episode, such as `step_10`, has
one word: what happens to who comes first to that step (and takes it away).
  raises   an error of the task
  sleeps   for 5 s
  kills    the worker of the environment
  ends     the process that the worker is of
  stops    that process, which then does nothing more
"""

import os
import pathlib
import signal
import time

from worldmodels.data.tasks import hill


class Slow(hill.Hill):
  """Counts the steps of an episode."""

  _steps_taken = 0

  def reset(self, *arguments, **options):
    self._steps_taken = 0
    return super().reset(*arguments, **options)

  def step(self, action):
    self._steps_taken += 1
    mark = pathlib.Path(f'step_{self._steps_taken}')
    mine = mark.with_name(f'taken_{os.getpid()}')
    try:
      mark.rename(mine)
    except FileNotFoundError:
      return super().step(action)
    word = mine.read_text()
    mine.unlink()
    # The worker is kept by a process that the collector has started.
    collector = parent_of(parent_of(os.getpid()))
    if word == 'raises':
      raise ValueError('as it was told')
    if word == 'sleeps':
      time.sleep(5)
    if word == 'kills':
      os.kill(os.getpid(), signal.SIGKILL)
    if word == 'ends':
      os.kill(collector, signal.SIGKILL)
    if word == 'stops':
      os.kill(collector, signal.SIGSTOP)
    return super().step(action)


def parent_of(pid):
  """Returns the process id of the parent of a process."""
  fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2]
  return int(fields.split()[1])


load = Slow
