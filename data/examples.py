"""Reads and writes tf.train.Example, a dict of lists, without TensorFlow.

Its form is that of protocol buffers: a number of a field and a kind, then a
number or a length and as many bytes.
  Example   1: Features         Features  1: entries {1: key, 2: Feature}
  Feature   1: bytes, 2: floats, 3: integers, each of them {1: values}
"""

import struct
from collections.abc import Iterator, Mapping

import numpy as np

from worldmodels.data.recordings import RecordingError

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_MOST_BITS = 64

Values = list[bytes] | np.ndarray


def parse(content: bytes) -> dict[str, Values]:
  """Returns {key: bytes [N], float32 [N] or int64 [N]} of an Example.

  Raises:
    RecordingError: it is none.
  """
  found = {}
  try:
    for features in _messages(content, 1):
      for entry in _messages(features, 1):
        fields = dict(_fields(entry))
        found[bytes(fields[1]).decode()] = _feature(fields.get(2, b''))
  except (IndexError, KeyError, ValueError, TypeError, struct.error) as error:
    raise RecordingError(
      f'a record is no Example ({type(error).__name__})'
    ) from error
  return found


def serialize(values: Mapping[str, Values]) -> bytes:
  """Returns the bytes of an Example, see `parse`."""
  entries = []
  for key, value in values.items():
    if isinstance(value, list):
      feature = _field(1, b''.join(_field(1, item) for item in value))
    elif value.dtype.kind == 'f':
      packed = value.astype('<f4').tobytes()
      feature = _field(2, _field(1, packed))
    else:
      packed = b''.join(_varint(int(x) % (1 << 64)) for x in value)
      feature = _field(3, _field(1, packed))
    entries.append(_field(1, _field(1, key.encode()) + _field(2, feature)))
  return _field(1, b''.join(entries))


def _feature(content: bytes) -> Values:
  for kind, listed in _fields(content):
    if kind == 1:
      return [bytes(value) for value in _messages(listed, 1)]
    if kind == 2:
      return _floats(listed)
    if kind == 3:
      return _integers(listed)
  return np.zeros(0, np.float32)


def _floats(content: bytes) -> np.ndarray:
  parts = [
    np.frombuffer(value, '<f4')
    if isinstance(value, memoryview)
    else np.array([value], '<f4')
    for _, value in _fields(content, floats=True)
  ]
  return np.concatenate([np.zeros(0, '<f4'), *parts]).astype(np.float32)


def _integers(content: bytes) -> np.ndarray:
  numbers = []
  for _, value in _fields(content):
    if isinstance(value, int):
      numbers.append(value)
      continue
    place = 0
    while place < len(value):
      number, place = _read_varint(value, place)
      numbers.append(number)
  return np.array(numbers, np.uint64).view(np.int64)


def _messages(content: bytes, number: int) -> Iterator[memoryview]:
  """Yields what fields of a number hold."""
  for found, value in _fields(content):
    if found == number:
      yield value


def _fields(
  content: bytes | memoryview, floats: bool = False
) -> Iterator[tuple[int, memoryview | int | float]]:
  """Yields (number, value) of each field of a message."""
  view, place = memoryview(content), 0
  while place < len(view):
    tag, place = _read_varint(view, place)
    kind = tag & 7
    if kind == _VARINT:
      value, place = _read_varint(view, place)
    elif kind == _BYTES:
      length, place = _read_varint(view, place)
      value, place = view[place : place + length], place + length
    elif kind in (_FOUR, _EIGHT):
      size = 4 if kind == _FOUR else 8
      value = view[place : place + size]
      place += size
      if floats:
        (value,) = struct.unpack('<f' if kind == _FOUR else '<d', value)
    else:
      raise ValueError(f'kind {kind}')
    if place > len(view):
      raise ValueError('cut off')
    yield tag >> 3, value


def _read_varint(view: memoryview, place: int) -> tuple[int, int]:
  number = shift = 0
  while True:
    byte = view[place]
    place += 1
    number |= (byte & 127) << shift
    if byte < 128:
      return number & ((1 << _MOST_BITS) - 1), place
    shift += 7
    if shift >= _MOST_BITS + 7:
      raise ValueError('a number without an end')


def _field(number: int, content: bytes) -> bytes:
  return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
  parts = []
  while number >= 128:
    parts.append(number & 127 | 128)
    number >>= 7
  return bytes([*parts, number])
