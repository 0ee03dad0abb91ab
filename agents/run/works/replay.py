"""W6: batches from episodes on disk, read while something else trains."""

import os
import pathlib
import resource
import tempfile
import time

import numpy as np
import tensorflow as tf

from data import episode_files
from data import episodes as stores

from . import clock
from . import rows


def measure(setting):
  """Returns how long a batch takes, and what is waited for with few and many.

  Most of the many episodes are hard links to others: as many files, and as
  much to choose from, but all of it in the system's cache. What a disk adds is
  not in these figures.
  """
  sizes, result = setting.sizes['store'], []
  # The many first: what they leave in memory is not the few's.
  for name in ('many', 'few'):
    count, length = sizes[name]
    with tempfile.TemporaryDirectory(prefix='worldmodels-') as folder:
      made, linked = pathlib.Path(folder, 'made'), pathlib.Path(folder, 'all')
      _fill(made, min(count, sizes['few'][0]), length)
      _link(made, linked, count)
      result += _folder(linked, count, setting)
  return result


def inputs(setting, batch, length):
  """The row of a batch of the preset as TensorFlow gets it."""
  sizes = setting.sizes['store']
  with tempfile.TemporaryDirectory(prefix='worldmodels-') as folder:
    _fill(folder, 4, max(sizes['many'][1], length))
    store = stores.Store(folder, log=lambda line: None)
    seeds = iter(range(10 ** 9))

    def take():
      batches = store.sample(batch, length, next(seeds))
      return [tf.constant(value) for value in batches.values()]

    timing = clock.median(take, setting)
  return [rows.row('W8', 'input beside it, a batch', timing['seconds'] * 1e3,
                   'ms', timing)]


def _folder(folder, count, setting):
  """The rows of a store of `count` episodes."""
  sizes, before = setting.sizes['store'], _resident()
  store = stores.Store(folder, log=lambda line: None)
  seeds = iter(range(10 ** 9))
  timing = clock.median(
      lambda: store.sample(sizes['batch'], sizes['length'], next(seeds)),
      setting)
  with clock.Others() as others:
    waiting, memory = _waiting(store, sizes, before)
  shape = f'{sizes["batch"]} x {sizes["length"]}'
  return [
      rows.row('W6', f'a batch of {shape}, {count} episodes',
               timing['seconds'] * 1e3, 'ms', timing),
      rows.row('W6', f'waiting for it, of the loop, {count} episodes',
               waiting, '', clock.both(
                   timing, clock.summary([1.0] * 3, others.cores)),
               ('<=', 0.02)),
      rows.row('memory', f'replay of {count} episodes', memory / 2 ** 20,
               'MiB'),
  ]


def _waiting(store, sizes, before):
  """The share of a loop that waits for batches, and the memory it takes.

  The loop stands for one whose update takes `update_seconds` and leaves a
  core: it sleeps.
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


def _fill(folder, count, length):
  random = np.random.default_rng(0)
  store = stores.Store(folder, log=lambda line: None)
  flags = np.arange(length)
  for _ in range(count):
    store.append({
        'image': random.integers(0, 256, [length, 64, 64, 3], np.uint8),
        'action': random.uniform(-1, 1, [length, 1]).astype(np.float32)
                  * (flags > 0)[:, None],
        'reward': random.random(length, np.float32) * (flags > 0),
        'is_first': flags == 0,
    })


def _link(source, target, count):
  """Fills `target` with `count` episodes that are those of `source`."""
  files = sorted(source.glob('*.npz'))
  target.mkdir()
  for other in source.iterdir():
    if other not in files:
      os.link(other, target / other.name)
  for index in range(count):
    path = files[index % len(files)]
    length = int(path.stem.rpartition('-')[2])
    os.link(path, target / episode_files.new_name(index, length))


def _resident():
  """Bytes of memory that this process has now."""
  with open('/proc/self/statm') as file:
    return int(file.read().split()[1]) * resource.getpagesize()
