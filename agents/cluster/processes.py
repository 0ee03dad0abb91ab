"""Tells a process from all others, so that no other is killed in its place.

Machines may share a name, as containers do, and the id of a process that has
ended is given again.
"""

import contextlib
import dataclasses
import os
import pathlib
import signal

_PROC = pathlib.Path('/proc')
_STARTED = 19  # Place of the start in /proc/PID/stat, behind the name.


@dataclasses.dataclass(frozen=True)
class Process:
  """A process.

  Attributes:
    machine: that it is on: which start of which machine, and whose ids.
    pid: its id there.
    started: when it was started, as the kernel counts; '' for never.
  """

  machine: str
  pid: int
  started: str


def of(pid: int) -> Process:
  """Returns the process that has an id here now."""
  try:
    boot = (_PROC / 'sys/kernel/random/boot_id').read_text().strip()
    machine = f'{boot} {os.readlink(_PROC / "self/ns/pid")}'
    stat = (_PROC / str(pid) / 'stat').read_text()
    started = stat.rpartition(')')[2].split()[_STARTED]
  except OSError:
    machine = started = ''
  return Process(machine, pid, started)


def kill(process: Process) -> None:
  """Kills a process if it is of this machine, and has not ended."""
  if process.started and process == of(process.pid):
    with contextlib.suppress(OSError):
      os.kill(process.pid, signal.SIGKILL)
