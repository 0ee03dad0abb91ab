import json
import os
import struct

import numpy as np
import pytest

from worldmodels.data import channel


@pytest.fixture
def loop():
  """A channel that receives what it sends."""
  reading, writing = os.pipe()
  yield channel.Channel(reading, writing)
  os.close(reading)


def test_messages_arrive_as_they_were_sent(loop):
  arrays = {
    'image': np.arange(48, dtype=np.uint8).reshape(4, 4, 3),
    'reversed': np.arange(5.0)[::-1],
    'scalar': np.array(2.5, np.float32),
    'empty': np.zeros((0, 3)),
    'flags': np.array([True, False]),
  }
  loop.send({'reward': None, 'names': ['ä', 'b']}, arrays)
  loop.send({})
  fields, received = loop.receive(1)
  assert fields == {'reward': None, 'names': ['ä', 'b']}
  assert list(received) == list(arrays)
  for key, value in arrays.items():
    assert received[key].dtype == value.dtype
    np.testing.assert_array_equal(received[key], value)
  assert loop.receive() == ({}, {})
  os.close(loop.writing)


def test_half_a_message_is_none(loop):
  with pytest.raises(TimeoutError):
    loop.receive(0.05)
  os.write(loop.writing, b'\x05\0')
  with pytest.raises(TimeoutError):
    loop.receive(0.05)
  os.close(loop.writing)
  with pytest.raises(channel.ClosedError):
    loop.receive(0.05)


def message(text, size=0, mark=b'\x93WM1'):
  """The bytes of a message with a payload of zeros."""
  text = text if isinstance(text, bytes) else json.dumps(text).encode()
  return struct.pack('<4sII', mark, len(text), size) + text + bytes(size)


@pytest.mark.parametrize(
  'content',
  [
    b'a stray line of a simulator\n',
    message([{}, []], mark=b'....'),
    struct.pack('<4sII', b'\x93WM1', 2**31, 0) + bytes(100),
    message(b'\xff\xfe'),
    message(b'[{}, []'),
    message(b'[' * 60_000),
    message(3),
    message([[], []]),
    message([{}, 3]),
    message([{}, [['image', '<f4']]], 4),
    message([{}, [['image', '<f4', 3]]], 12),
    message([{}, [['image', '<f4', [-1]]]], 4),
    message([{}, [['image', '<f4', [1.0]]]], 4),
    message([{}, [['image', '|O8', [1]]]], 8),
    message([{}, [['image', 'f4,f4', [1]]]], 8),
    message([{}, [['image', '<f7', [1]]]], 7),
    message([{}, [[['image'], '<f4', [1]]]], 4),
    message([{}, [['image', '<f4', [2]]]], 4),
    message([{}, [['image', '<f4', [2**40, 2**40]]]], 4),
    message([{}, []], 4),
  ],
)
def test_what_is_no_message_is_garbled(loop, content):
  """Found at once: neither waited for, nor memory taken for what it claims."""
  os.write(loop.writing, content)
  os.close(loop.writing)
  with pytest.raises(channel.GarbledError) as found:
    loop.receive(5)
  assert len(str(found.value)) < 300


def test_what_is_sent_looks_as_here(loop):
  loop.send({'a': 1}, {'b': np.zeros(2, np.uint8)})
  expected = message([{'a': 1}, [['b', '|u1', [2]]]], 2)
  assert os.read(loop.reading, 1000) == expected
