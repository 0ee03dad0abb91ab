"""Starts a program that ends when the process that started it does.

  python -m worldmodels.agents.programs.bound PARENT SIGNAL PROGRAM --flag=value

A sweep that is killed leaves no training behind, which would keep the next one
out of its run; nor does a training the learners that it has started.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

from worldmodels.agents.programs import launch

_PARENT_DEATH = 1  # PR_SET_PDEATHSIG of prctl(2)


def arguments(
  program: str, flags: Sequence[str], number: int = signal.SIGTERM
) -> list[str]:
  """Returns the arguments of a process that runs a program and is bound.

  Args:
    program: its name.
    flags: of it.
    number: of the signal that ends it.
  """
  own = str(os.getpid()), str(int(number))
  # -P: worldmodels is this one, and not what lies in the current directory.
  return [sys.executable, '-P', '-m', __name__, *own, program, *flags]


def bind(parent: int, number: int = signal.SIGTERM) -> None:
  """Has this process end when `parent`, which started it, does."""
  ctypes.CDLL(None).prctl(_PARENT_DEATH, number)
  if os.getppid() != parent:  # It has ended in the meantime.
    os.kill(os.getpid(), number)


if __name__ == '__main__':
  parent, number, program, *flags = sys.argv[1:]
  bind(int(parent), int(number))
  sys.argv = ['worldmodels', *flags]
  launch.main(program)
