"""Our task `hill` in a worker that is killed once, when a test says so."""

import os
import pathlib
import signal

from worldmodels.data.tasks import hill

# Names a file with the count of the step at which the worker is killed.
MARK = 'FRAIL_TASK_MARK'


class Frail(hill.Hill):
  """Takes the mark away before it dies, so that its successor lives."""

  _taken = 0

  def step(self, action):
    mark = pathlib.Path(os.environ.get(MARK, os.devnull))
    self._taken += 1
    if mark.is_file() and int(mark.read_text()) == self._taken:
      mark.unlink()
      os.kill(os.getpid(), signal.SIGKILL)
    return super().step(action)


load = Frail
