"""Gives each command on a node cores of its own, whoever else is there.

Ray counts processors and gives none out: commands that have two each would all
run on all of them. Which cores are taken is known to the kernel alone: who has
a core has bound an abstract socket of its name, which ends with the process and
leaves no file. Sweeps of others on the same node take other cores.
"""

import contextlib
import os
import random
import socket
from collections.abc import Sequence

_NAME = '\0worldmodels/core/{}'


class Cores:
  """Cores of this machine, until `leave` or the end of the process.

  Attributes:
    numbers: of the cores.

  Args:
    count: of them.
    slots: processors that the node is said to have; where it sees more, as in
      a container, those that it gets are any of them. None where that is not
      known.
    among: cores there are; by default those of this process.
  """

  def __init__(
    self, count: int, slots: int | None, among: Sequence[int] | None = None
  ):
    there = sorted(os.sched_getaffinity(0) if among is None else among)
    if slots and len(there) > slots:
      # Others on this machine would all begin with the first.
      begin = random.randrange(len(there))
      there = there[begin:] + there[:begin]
    self._taken: list[socket.socket] = []
    self.numbers: list[int] = []
    for number in there:
      if len(self.numbers) == count:
        break
      if self._take(number):
        self.numbers.append(number)
    # Too few: some are shared.
    shared = [number for number in there if number not in self.numbers]
    self.numbers += shared[: count - len(self.numbers)]

  def leave(self) -> None:
    """Gives the cores back."""
    for taken in self._taken:
      taken.close()
    self._taken.clear()

  def _take(self, number: int) -> bool:
    taken = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with contextlib.suppress(OSError):
      taken.bind(_NAME.format(number))
      self._taken.append(taken)
      return True
    taken.close()
    return False
