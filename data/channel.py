"""Exchanges messages between a process and its worker over a pair of pipes.

A message is a JSON object and the arrays that belong to it: the length of the
JSON text and of the arrays together (two uint32, little-endian), the text with
the names, dtypes and shapes of the arrays, and their bytes in that order.
"""

import json
import math
import os
import select
import struct
import time
from typing import Any

import numpy as np

Fields = dict[str, Any]  # a JSON object
Arrays = dict[str, np.ndarray]

_HEADER = struct.Struct('<II')


class ClosedError(EOFError):
  """The other side of the channel is gone."""


class Channel:
  """Sends and receives messages over two file descriptors.

  Attributes:
    reading, writing: the file descriptors.
  """

  def __init__(self, reading: int, writing: int):
    self.reading = reading
    self.writing = writing

  def send(self, fields: Fields, arrays: Arrays | None = None) -> None:
    """Sends a JSON object and named arrays.

    Raises:
      BrokenPipeError: the other side is gone.
    """
    arrays = {k: np.ascontiguousarray(v) for k, v in (arrays or {}).items()}
    layout = [[k, v.dtype.str, v.shape] for k, v in arrays.items()]
    text = json.dumps([fields, layout]).encode()
    size = sum(value.nbytes for value in arrays.values())
    message = b''.join(
      [_HEADER.pack(len(text), size), text]
      + [value.tobytes() for value in arrays.values()]
    )
    view = memoryview(message)
    while view:
      view = view[os.write(self.writing, view) :]

  def receive(self, timeout: float | None = None) -> tuple[Fields, Arrays]:
    """Waits for a message.

    Args:
      timeout: seconds for the whole message; None to wait for ever.

    Returns:
      The JSON object and the arrays by name.

    Raises:
      ClosedError: the other side is gone.
      TimeoutError: no whole message within the timeout.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    length, size = _HEADER.unpack(self._read(_HEADER.size, deadline))
    fields, layout = json.loads(self._read(length, deadline).decode())
    payload, start, arrays = self._read(size, deadline), 0, {}
    for name, dtype, shape in layout:
      dtype, count = np.dtype(dtype), math.prod(shape)
      flat = np.frombuffer(payload, dtype, count, start)
      arrays[name] = flat.reshape(shape)
      start += count * dtype.itemsize
    return fields, arrays

  def _read(self, size: int, deadline: float | None) -> bytearray:
    # A bytearray, so that the arrays upon it can be written to.
    result = bytearray(size)
    view = memoryview(result)
    while view:
      if deadline is not None:
        left = max(0.0, deadline - time.monotonic())
        if not select.select([self.reading], [], [], left)[0]:
          raise TimeoutError
      count = os.readv(self.reading, [view])
      if not count:
        raise ClosedError
      view = view[count:]
    return result
