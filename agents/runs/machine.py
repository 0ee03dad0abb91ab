"""Says what computes: the processor, and how many of its cores are ours."""

import os
import pathlib
import platform

_LONGEST = 80  # characters of a name
_PROCESSORS = pathlib.Path('/proc/cpuinfo')
_NAMES = ('model name', 'Model', 'Hardware')


def processor() -> str:
  """Returns the name that the processor gives itself, else its kind."""
  try:
    lines = _PROCESSORS.read_text(errors='replace').splitlines()
  except OSError:
    lines = []
  for wanted in _NAMES:
    for line in lines:
      name, _, value = line.partition(':')
      if name.strip() == wanted and value.strip():
        return ' '.join(value.split())[:_LONGEST]
  return platform.machine() or 'unknown'


def cores() -> int:
  """Returns how many cores this process may use."""
  return len(os.sched_getaffinity(0))
