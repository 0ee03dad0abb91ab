"""Runs a function ahead of its consumer, in a thread."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, Self, TypeVar

Item = TypeVar('Item')

_POLL_SECONDS = 0.1


class Prefetch(Iterator[Item], Generic[Item]):
  """Yields function(start), function(start + 1), ... computed ahead.

  An exception of the function is raised to the consumer in its turn. Close it,
  or use it in a `with` statement, to end the thread.

  Args:
    function: from a counter to an item.
    start: of the counter.
    size: items to keep ready.
  """

  def __init__(self, function: Callable[[int], Item], start: int, size: int):
    self._items = queue.Queue(size)
    self._closed = threading.Event()
    self._thread = threading.Thread(
      target=_produce,
      args=(function, start, self._items, self._closed),
      daemon=True,
    )
    self._thread.start()

  def __next__(self) -> Item:
    if self._closed.is_set():
      raise StopIteration
    item, error = self._items.get()
    if error is not None:
      self.close()
      raise error
    return item

  def close(self) -> None:
    """Ends the thread; may be called twice."""
    self._closed.set()
    with contextlib.suppress(queue.Empty):
      while True:  # Who waits for room has it at once.
        self._items.get_nowait()
    self._thread.join()

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *unused: object) -> None:
    self.close()

  def __del__(self) -> None:
    self._closed.set()


def _produce(
  function: Callable[[int], object],
  counter: int,
  items: queue.Queue,
  closed: threading.Event,
) -> None:
  """Puts (result, error) of each call into the queue, until an error."""
  # No reference to the iterator, so that a forgotten one is collected.
  while not closed.is_set():
    try:
      result = function(counter), None
    except Exception as error:  # noqa: BLE001 (raised to the consumer)
      result = None, error
    while not closed.is_set():
      try:
        items.put(result, timeout=_POLL_SECONDS)
        break
      except queue.Full:
        continue
    counter += 1
    if result[1] is not None:
      return
