import os

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
