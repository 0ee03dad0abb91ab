"""Our task `hill` in a worker that is killed, or hangs, when a test says so."""

import os
import pathlib
import signal
import time

from worldmodels.data.tasks import hill

# Names a file with the count of the step at which the worker is killed; or, if
# a word follows, at which it hangs for a while.
MARK = 'FRAIL_TASK_MARK'


class Frail(hill.Hill):
  """Takes the mark away before it dies, so that its successor lives."""

  _taken = 0

  def step(self, action):
    mark = pathlib.Path(os.environ.get(MARK, os.devnull))
    self._taken += 1
    if mark.is_file():
      count, *word = mark.read_text().split()
      if int(count) == self._taken:
        mark.unlink()
        if not word:
          os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(50)
    return super().step(action)


load = Frail
