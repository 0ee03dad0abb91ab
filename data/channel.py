"""Exchanges messages between a process and its worker over a pair of pipes.

A message is a JSON object and the arrays that belong to it: a mark, the length
of the JSON text and of the arrays together (two uint32, little-endian), the
text with the names, dtypes and shapes of the arrays, and their bytes in that
order.

What arrives is not trusted: a task may write to file descriptors that are not
its own.
"""

import json
import math
import os
import re
import select
import struct
import time
from typing import Any

import numpy as np

Fields = dict[str, Any]  # a JSON object
Arrays = dict[str, np.ndarray]

_MARK = b'\x93WM1'
_HEADER = struct.Struct('<4sII')
_LONGEST = 1 << 20  # bytes of the text
_DTYPE = re.compile(r'[<|][biuf]\d')


class ClosedError(EOFError):
  """The other side of the channel is gone."""


class GarbledError(Exception):
  """What has arrived is no message; nothing that follows can be understood."""


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
      [_HEADER.pack(_MARK, len(text), size), text]
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
      GarbledError: something else than a message has arrived.
      TimeoutError: no whole message within the timeout.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    head = self._read(_HEADER.size, deadline)
    mark, length, size = _HEADER.unpack(head)
    if mark != _MARK or length > _LONGEST:
      raise GarbledError(f'it begins with {bytes(head)!r}')
    fields, layout = _parse(self._read(length, deadline))
    if size != sum(math.prod(s) * t.itemsize for _, t, s in layout):
      raise GarbledError(f'{size} bytes are not those of {layout}')
    payload, start, arrays = self._read(size, deadline), 0, {}
    for name, dtype, shape in layout:
      count = math.prod(shape)
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


def _parse(text: bytearray) -> tuple[Fields, list[tuple]]:
  """Returns the JSON object of a message and its (name, dtype, shape)s."""
  try:
    fields, layout = json.loads(text.decode())
    arrays = [_array(*described) for described in layout]
  except (ValueError, TypeError, RecursionError) as error:
    raise GarbledError(f'its text is damaged ({error})') from error
  if not isinstance(fields, dict):
    raise GarbledError(f'it holds a {type(fields).__name__}')
  return fields, arrays


def _array(
  name: str, dtype: str, shape: list[int]
) -> tuple[str, np.dtype, tuple[int, ...]]:
  """Returns the (name, dtype, shape) of an array of which nothing is known."""
  sizes = all(type(size) is int and size >= 0 for size in shape)
  if not (isinstance(name, str) and sizes and _DTYPE.fullmatch(dtype)):
    raise ValueError(f'an array {name!r} of {dtype!r} {shape}')
  return name, np.dtype(dtype), tuple(shape)
