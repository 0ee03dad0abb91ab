"""The processes of learners that one of them has started, and ends.

They end with it, however it ends: see programs/bound.py.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Sequence

from worldmodels import checkout
from worldmodels.agents.runs import team_place
from worldmodels.data import tail

# How long they may take to end by themselves, and this one to see that one of
# them has ended.
_END_SECONDS, _SEEN_SECONDS = 5, 20


class Processes:
  """The other learners of this machine.

  Args:
    place: of this process, which starts them.
    arguments: of their processes.
  """

  def __init__(self, place: team_place.Place, arguments: Sequence[str]):
    self._started: list[tuple[subprocess.Popen, tail.Tail]] = []
    self._leaving = threading.Event()
    numbers = range(1, len(place.addresses)) if place.starts else ()
    for number in numbers:
      output = tail.Tail()
      try:
        process = subprocess.Popen(
          arguments,
          stdin=subprocess.DEVNULL,
          stdout=output.writing,
          stderr=output.writing,
          env=_variables(place, number),
          # Ctrl-C at the terminal is for this one, which ends them.
          start_new_session=True,
        )
      finally:
        os.close(output.writing)
      self._started.append((process, output))

  def ended(self) -> str:
    """Says which of them has ended, if one has, and what it said last."""
    for number, (process, output) in enumerate(self._started, 1):
      try:
        status = process.wait(0.5)
      except subprocess.TimeoutExpired:
        continue
      if status:
        said = output.text().splitlines() or ['']
        said = said[-1].removeprefix('error: ')
        how = f'exit status {status}'
        if status < 0:
          how, said = signal.Signals(-status).name, ''
        return f'learner {number} has ended ({said or how})'
    return ''

  def watch(self, end: object) -> None:
    """Calls `end` where one of them has ended and nobody has seen it.

    What waits for others in TensorFlow may wait for one that never came.

    Args:
      end: function of a line; ends this process.
    """

    def look() -> None:
      while not self._leaving.wait(1.0):
        if any(process.poll() for process, _ in self._started):
          if not self._leaving.wait(_SEEN_SECONDS):
            end(self.ended())
          return

    if self._started:
      threading.Thread(target=look, name='learners', daemon=True).start()

  def end(self, at_once: bool = True) -> None:
    """Ends them all.

    Args:
      at_once: by force; else they have been told.
    """
    self._leaving.set()
    for process, _ in self._started:
      try:
        process.wait(0 if at_once else _END_SECONDS)
      except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _variables(place: team_place.Place, number: int) -> dict[str, str]:
  """Returns the environment variables of the learner of a number."""
  inherited = os.environ.get('PYTHONPATH')
  path = os.pathsep.join(filter(None, [*checkout.roots(), inherited]))
  told = {team_place.VARIABLE: place.variable(number), 'PYTHONPATH': path}
  return {**os.environ, **told}
