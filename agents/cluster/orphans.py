"""Ends a process of Ray whose node has ended.

Ray's processes look after that themselves. But where a node is killed, one that
is in use is now and then forgotten, with all that it holds.
"""

import os
import pathlib
import signal
import threading
import time

_RAYLET = 'raylet'  # Who starts the processes of a node.
_LOOK_SECONDS = 1.0


def end_with_raylet() -> None:
  """Has this process end when the raylet that started it does.

  One that was started by anybody else, or not on Linux, is left alone.
  """
  parent = os.getppid()
  if _name(parent) == _RAYLET:
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
  """Kills this process as soon as it has another parent."""
  while os.getppid() == parent:
    time.sleep(_LOOK_SECONDS)
  # What it holds ends with it: the kernel and the keepers of workers see to it.
  os.kill(os.getpid(), signal.SIGKILL)


def _name(pid: int) -> str:
  """Returns what a process is called; nothing where that is not known."""
  try:
    return pathlib.Path(f'/proc/{pid}/comm').read_text().strip()
  except OSError:
    return ''
