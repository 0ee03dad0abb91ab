"""What is sent is counted and timed; Ray is played by this process."""

import types

import numpy as np
import pytest

from worldmodels.agents.benchmark import cost
from worldmodels.agents.benchmark import options
from worldmodels.agents.benchmark import transfers
from worldmodels.agents.benchmark.cost_model import Cluster


class Handle:
  """An actor of which each call is done at once, and read-only arrays come."""

  def __init__(self, made):
    for name in ('episode', 'load'):
      call = types.SimpleNamespace(remote=getattr(made, name))
      setattr(self, name, call)


def remote(**given):
  assert given == dict(num_cpus=0)
  return lambda kind: types.SimpleNamespace(remote=lambda *x: Handle(kind(*x)))


def test_bytes_and_milliseconds_feed_the_model():
  ray = types.SimpleNamespace(
    remote=remote, get=lambda value: value, put=lambda value: value
  )
  episode = {
    'image': np.zeros([11, 8, 8, 3], np.uint8),
    'action': np.zeros([11, 2], np.float32),
    'reward': np.zeros([11], np.float32),
    'is_first': np.arange(11) == 0,
  }
  values = [np.zeros([3, 4], np.float32), np.zeros([5], np.float32)]
  lines = list(
    transfers.measure_with(
      types.SimpleNamespace(ray=ray),
      episode,
      values,
      options.Options(options.SIZES['tiny'], 3, *[None] * 3),
    )
  )
  fed = {line[cost.FEEDS]: line for line in lines if cost.FEEDS in line}
  assert fed['episode_bytes']['value'] == 11 * (192 + 8 + 4 + 1)
  assert fed['parameter_bytes']['value'] == 4 * (12 + 5)
  for name in ('take_ms', 'append_ms', 'publish_ms', 'load_ms'):
    assert fed[name]['unit'] == 'ms' and fed[name]['value'] > 0
  assert all(hasattr(Cluster(), name) for name in fed)
  # An append is a file on a disk.
  assert fed['append_ms']['value'] > 10 * fed['publish_ms']['value']


def test_what_is_loaded_may_be_written_to():
  peer = transfers._Peer({})
  value = np.zeros(3)
  value.flags.writeable = False
  peer.load([value])
  peer._values[0] += 1
  assert value.sum() == 0


def test_a_name_that_the_model_does_not_know():
  line = transfers.fed('W11', 'speed', 1.0, 'ms', 'x')
  with pytest.raises(Exception, match="'speed' is no figure"):
    list(cost._checked({line[cost.FEEDS]: line['value']}))
