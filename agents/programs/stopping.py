"""Ends a program soon after Ctrl-C, whatever it is doing.

Python raises KeyboardInterrupt between two of its own instructions. TensorFlow
may compute for long before the next one, and what is cleaned up then may wait
for others. So a thread listens too: it says what is waited for, and ends the
process after a while, or on the next Ctrl-C. That is as safe as a kill at any
other time: files are whole or absent, and workers end with the program.
"""

import atexit
import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

# From Ctrl-C to the end by force.
SECONDS = 7

# What ends sooner than that needs no explanation.
_AT_ONCE = 0.3


class Listener:
  """Listens to Ctrl-C from now on, unless that is ignored.

  Args:
    waiting: what is said when the program does not end at once.
    stopped: what is said when it is ended by force.
    status: exit status then.
    at_end: called before that.
  """

  def __init__(
    self,
    waiting: str,
    stopped: str,
    status: int,
    at_end: Callable[[], Any] = lambda: None,
  ):
    self._waiting = waiting
    self._stopped = stopped
    self._status = status
    self._at_end = at_end
    self._ended = False
    if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):
      return
    self._signals, signals = os.pipe()
    os.set_blocking(signals, False)
    signal.set_wakeup_fd(signals, warn_on_full_buffer=False)
    threading.Thread(target=self._listen, name='ctrl-c', daemon=True).start()
    atexit.register(self._leave)

  def ended(self) -> None:
    """Is told that the program has been stopped and has said so itself."""
    self._ended = True

  def _listen(self) -> None:
    """Waits for the first Ctrl-C, and then for the end."""
    self._interrupted(None)
    end = time.monotonic() + SECONDS
    if not self._interrupted(_AT_ONCE):
      self._say(self._waiting)
      self._interrupted(end - time.monotonic())
    self._say(self._stopped)
    self._end()

  def _leave(self) -> None:
    """Spares a program that was stopped the clearing of its memory.

    With the graphs of TensorFlow that takes seconds. All others have cleaned
    up by now: what is registered first is called last.
    """
    if self._ended:
      with contextlib.suppress(OSError):
        sys.stdout.flush()
      self._end()

  def _end(self) -> None:
    self._at_end()
    os._exit(self._status)

  def _say(self, text: str) -> None:
    """Prints a line, unless nobody takes it: this may not wait."""
    if self._ended or not select.select([], [sys.stderr], [], 0)[1]:
      return
    # At a terminal the cursor is behind a bar.
    begin = '\n' if sys.stderr.isatty() else ''
    with contextlib.suppress(OSError):
      os.write(sys.stderr.fileno(), f'{begin}{text}\n'.encode())

  def _interrupted(self, seconds: float | None) -> bool:
    """Waits for Ctrl-C, so long at most; whether it came."""
    end = None if seconds is None else time.monotonic() + seconds
    while True:
      left = None if end is None else max(0.0, end - time.monotonic())
      if not select.select([self._signals], [], [], left)[0]:
        return False
      if signal.SIGINT in os.read(self._signals, 1):
        return True
