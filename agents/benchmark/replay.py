"""W6: batches from episodes on disk, read while something else trains.

And what it takes to open a store and to add an episode, which is not to depend
on how many there are.
"""

import dataclasses
import itertools
import os
import pathlib
import resource
import tempfile
import time
from typing import Any

import numpy as np
import tensorflow as tf

from worldmodels.agents.benchmark import clock
from worldmodels.agents.benchmark.figures import Figure
from worldmodels.agents.benchmark.figures import figure
from worldmodels.agents.benchmark.options import Options
from worldmodels.data import episode_files
from worldmodels.data.store import Store


def measure(options: Options) -> list[Figure]:
  """Returns the figures of stores with many and with few episodes.

  Most of the many episodes are hard links to others: as many files, and as
  much to choose from, but all of it in the system's cache. The time of a disk
  is not in these figures.
  """
  sizes, result = options.sizes['store'], []
  # The many first: what they leave in memory is not the few's.
  for name in ('many', 'few'):
    count, length = sizes[name]
    with tempfile.TemporaryDirectory(prefix='worldmodels-') as folder:
      made, linked = pathlib.Path(folder, 'made'), pathlib.Path(folder, 'all')
      _fill(made, min(count, sizes['few'][0]), length)
      _link(made, linked, count)
      result += _folder(linked, count, options)
  return result


def inputs(options: Options, batch: int, length: int) -> list[Figure]:
  """Returns the figure of a batch of the preset as TensorFlow gets it."""
  sizes = options.sizes['store']
  with tempfile.TemporaryDirectory(prefix='worldmodels-') as folder:
    folder = pathlib.Path(folder)
    _fill(folder, 4, max(sizes['many'][1], length))
    store = Store(folder, log=_ignore)
    seeds = itertools.count()

    def take() -> list[tf.Tensor]:
      batches = store.sample(batch, length, next(seeds))
      return [tf.constant(value) for value in batches.values()]

    timing = clock.median(take, options)
  return [
    figure('W8', 'input beside it, a batch', timing.seconds * 1e3, 'ms', timing)
  ]


def _folder(folder: pathlib.Path, count: int, options: Options) -> list[Figure]:
  """Returns the figures of a store of `count` episodes."""
  sizes, before = options.sizes['store'], _resident()
  Store(folder, log=_ignore)  # The first time each file is verified.
  start = clock.median(lambda: Store(folder, log=_ignore), options)
  store = Store(folder, log=_ignore)
  seeds = itertools.count()
  timing = clock.median(
    lambda: store.sample(sizes['batch'], sizes['length'], next(seeds)), options
  )
  with clock.OtherLoad() as others:
    waiting, memory = _wait(store, sizes, before)
  episode = store.episode(0)
  few = dataclasses.replace(  # Each stays on the disk.
    options, sizes={**options.sizes, 'least_seconds': 0.0}
  )
  added = clock.median(lambda: store.append(episode), few)
  shape = f'{sizes["batch"]} x {sizes["length"]}'
  return [
    figure(
      'W6',
      f'a batch of {shape}, {count} episodes',
      timing.seconds * 1e3,
      'ms',
      timing,
    ),
    figure(
      'W6',
      f'waiting for it, of the loop, {count} episodes',
      waiting,
      '',
      clock.noisiest(timing, clock.summary([1.0] * 3, others.cores)),
      ('<=', 0.02),
    ),
    figure('memory', f'replay of {count} episodes', memory / 2**20, 'MiB'),
    figure('W6', f'opening {count} episodes', start.seconds, 's', start),
    figure(
      'W6', f'an append to {count} episodes', added.seconds * 1e3, 'ms', added
    ),
  ]


def _wait(
  store: Store, sizes: dict[str, Any], before: int
) -> tuple[float, int]:
  """Measures the time that a loop waits for batches, and the memory used.

  The loop stands for one whose update takes `update_seconds` and leaves a
  core: it sleeps.

  Args:
    store: with the episodes.
    sizes: of it and of the loop.
    before: bytes of memory that this process had before there was a store.

  Returns:
    (share of the time that it waits, bytes of memory).
  """
  waited, start = 0.0, None
  batches = store.chunks(sizes['batch'], sizes['length'], 0)
  try:
    for number in range(sizes['batches']):
      begun = time.perf_counter()
      next(batches)
      if number:  # The first one cannot have been made before.
        waited += time.perf_counter() - begun
      else:
        start = time.perf_counter()
      time.sleep(sizes['update_seconds'])
    whole = time.perf_counter() - start
    return waited / whole, _resident() - before
  finally:
    batches.close()


def _fill(folder: pathlib.Path, count: int, length: int) -> None:
  """Fills `folder` with `count` random episodes of `length` rows."""
  random = np.random.default_rng(0)
  store = Store(folder, log=_ignore)
  is_first = np.arange(length) == 0
  for _ in range(count):
    image = random.integers(0, 256, [length, 64, 64, 3], np.uint8)
    action = random.uniform(-1, 1, [length, 1]).astype(np.float32)
    reward = random.random(length, np.float32)
    store.append(
      {
        'image': image,
        'action': action * ~is_first[:, None],
        'reward': reward * ~is_first,
        'is_first': is_first,
      }
    )


def _link(source: pathlib.Path, target: pathlib.Path, count: int) -> None:
  """Hard-links episodes of `source` until `target` has `count`."""
  files = sorted(source.glob('*.npz'))
  target.mkdir()
  for index in range(count):
    path = files[index % len(files)]
    length = int(path.stem.rpartition('-')[2])
    os.link(path, target / episode_files.new_name(index, length))


def _resident() -> int:
  """Returns the bytes of memory that this process has now."""
  with open('/proc/self/statm') as file:
    return int(file.read().split()[1]) * resource.getpagesize()


def _ignore(line: str) -> None:
  """Drops a line of a store's log."""
