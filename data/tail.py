"""Keeps the end of what a process prints."""

import os
import select
import threading

_BYTES = 2000
_BLOCK = 1 << 16  # bytes; what a pipe holds


class Tail:
  """A pipe that is read as it fills, and whose last bytes are kept.

  However much is written, and however fast: it costs no disk and no memory, and
  who writes does not wait for long.

  Attributes:
    writing: file descriptor for the process; close it here once it is there.
  """

  def __init__(self) -> None:
    self._reading, self.writing = os.pipe()
    os.set_blocking(self._reading, False)
    self._lock = threading.Lock()
    self._open = True
    self._kept = b''
    threading.Thread(target=self._follow, name='tail', daemon=True).start()

  def text(self) -> str:
    """Returns the end of all that was written until now."""
    self._take()
    return self._kept.decode(errors='replace').strip()

  def _follow(self) -> None:
    """Reads until nobody can write any more."""
    waiting = select.poll()
    waiting.register(self._reading, select.POLLIN)
    while self._open:
      waiting.poll()
      self._take()

  def _take(self) -> None:
    """Reads what there is, without waiting."""
    with self._lock:
      for _ in range(2):  # More than that was written meanwhile.
        if not self._open:
          return
        try:
          block = os.read(self._reading, _BLOCK)
        except BlockingIOError:
          return
        if not block:
          self._open = False
          os.close(self._reading)
          return
        self._kept = (self._kept + block)[-_BYTES:]
