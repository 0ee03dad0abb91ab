"""What goes to and fro between a learner and its collectors: bytes and time."""

import dataclasses
import pathlib
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np

from worldmodels.agents.benchmark import clock
from worldmodels.agents.benchmark.cost import FEEDS
from worldmodels.agents.benchmark.figures import Figure
from worldmodels.agents.benchmark.figures import figure
from worldmodels.agents.benchmark.options import Options
from worldmodels.agents.cluster import engine
from worldmodels.agents.runs import rollouts
from worldmodels.data.store import Store


def measure_with(
  ray: engine.Engine,
  episode: rollouts.Episode,
  values: Sequence[np.ndarray],
  options: Options,
) -> Iterator[Figure]:
  """Yields bytes and milliseconds of an episode and of parameters.

  Args:
    ray: a cluster.
    episode: {key: [L, ...]}, complete.
    values: of the parameters that act.
    options: of the benchmark.
  """
  get, put = ray.ray.get, ray.ray.put
  few = dataclasses.replace(  # Each stays on the disk.
    options, sizes={**options.sizes, 'least_seconds': 0.0}
  )
  peer = ray.ray.remote(num_cpus=0)(_Peer).remote(episode)
  # An episode: made there, taken here, written.
  size = sum(value.nbytes for value in episode.values())
  yield fed('W11', 'episode_bytes', size, 'bytes', 'an episode')
  there = clock.median(lambda: get(peer.episode.remote()), options)
  name = 'asked for, sent and taken'
  yield figure('W11', name, 1e3 * there.seconds, 'ms', there)
  reference = peer.episode.remote()
  get(reference)

  def take() -> None:
    for value in get(reference).values():
      np.array(value)

  taken = clock.median(take, options)
  name = 'an episode taken out of the object store'
  yield fed('W11', 'take_ms', 1e3 * taken.seconds, 'ms', name, taken)
  with tempfile.TemporaryDirectory(prefix='worldmodels-') as folder:
    store = Store(pathlib.Path(folder, 'store'), log=lambda line: None)
    append = clock.median(lambda: store.append(episode), few)
  name = 'an episode written and noted'
  yield fed('W11', 'append_ms', 1e3 * append.seconds, 'ms', name, append)
  # Parameters: put here, taken over there.
  size = sum(value.nbytes for value in values)
  yield fed('W11', 'parameter_bytes', size, 'bytes', 'parameters that act')
  published = clock.median(lambda: put(values), options)
  name = 'parameters put into the object store'
  yield fed('W11', 'publish_ms', 1e3 * published.seconds, 'ms', name, published)
  reference = put(values)
  loaded = clock.median(lambda: get(peer.load.remote(reference)), options)
  name = 'parameters taken over by a collector'
  yield fed('W11', 'load_ms', 1e3 * loaded.seconds, 'ms', name, loaded)


class _Peer:
  """Another process of the cluster, which has an episode."""

  def __init__(self, episode: rollouts.Episode):
    self._episode = {key: np.array(value) for key, value in episode.items()}

  def episode(self) -> rollouts.Episode:
    """Returns the episode."""
    return self._episode

  def load(self, values: Sequence[np.ndarray]) -> None:
    """Takes parameters over: what Ray hands out is not to be written to."""
    self._values = [np.array(value) for value in values]


def fed(
  work: str,
  name: str,
  value: float,
  unit: str,
  what: str,
  timing: clock.Timing | None = None,
) -> Figure:
  """Returns a figure that is an attribute of the cost model's Cluster.

  Args:
    work: its name.
    name: of the attribute.
    value: of it.
    unit: of it.
    what: says what was measured.
    timing: how it was measured, if it was timed.
  """
  return figure(work, what, value, unit, timing) | {FEEDS: name}
