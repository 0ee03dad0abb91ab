"""How long nothing was said: what takes long gets a line now and then."""

import time

SECONDS = 30.0


class Silence:
  """The time since the last line.

  Args:
    seconds: after which it is long; by default SECONDS.
  """

  def __init__(self, seconds: float | None = None):
    self._seconds = SECONDS if seconds is None else seconds
    self.end()

  def end(self) -> None:
    """Is called with each line."""
    self._since = time.monotonic()

  def is_long(self) -> bool:
    """Returns whether it is time to say what is going on."""
    return time.monotonic() - self._since > self._seconds
