"""Processes that come of this one, also those whose parents have died."""

import ctypes
import os
import time

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)


def keep_orphans(keep=True):
  """Makes this process the parent of descendants whose parents die, or not.

  So they are found by `below`, however they were started.
  """
  assert ctypes.CDLL(None).prctl(_SUBREAPER, int(keep), 0, 0, 0) == 0


def command(pid):
  """Returns how a process was started; empty once it has ended."""
  try:
    with open(f'/proc/{pid}/cmdline') as file:
      return file.read().replace('\0', ' ').strip()
  except OSError:
    return ''


def below(pid=None):
  """Returns {pid: command} of the living descendants of a process."""
  parents, commands = {}, {}
  for name in filter(str.isdigit, os.listdir('/proc')):
    try:
      with open(f'/proc/{name}/stat') as file:
        parents[int(name)] = int(file.read().rpartition(')')[2].split()[1])
    except OSError:
      continue  # It has ended meanwhile.
    text = command(name)
    if text:  # Of one that nobody has waited for it is empty.
      commands[int(name)] = text
  found, level = {}, {os.getpid() if pid is None else pid}
  while level:
    level = {child for child, parent in parents.items() if parent in level}
    found.update({p: commands[p] for p in level if p in commands})
  return found


def settled(expected, seconds=30):
  """Waits until no descendants are left but expected ones.

  Args:
    expected: function of (pid, command), whether it may stay.
    seconds: to wait.

  Returns:
    {pid: command} of those that stay in spite of that.
  """
  end = time.monotonic() + seconds
  while True:
    left = {p: c for p, c in below().items() if not expected(p, c)}
    if not left or time.monotonic() > end:
      return left
    time.sleep(0.2)
