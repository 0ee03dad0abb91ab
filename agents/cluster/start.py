"""Starts Ray and the collectors of a run."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator

import ml_collections

from worldmodels.agents.cluster import actor
from worldmodels.agents.cluster import engine
from worldmodels.agents.cluster import pool
from worldmodels.agents.runs import memory
from worldmodels.spec import Spec

# Steps of an episode of whose length nobody tells.
_STEPS = 1000
# MiB of the object store beside episodes: parameters of some versions.
_PARAMETERS_MB = 128
# MiB that a collector takes with TensorFlow, its environment aside.
_COLLECTOR_MB = 500
_MEMORY = '/dev/shm'  # Where it is.


@contextlib.contextmanager
def collectors(
  config: ml_collections.ConfigDict,
  spec: Spec,
  steps: int | None,
  count: int,
  address: str,
  lease_timeout: float,
  limits: dict[str, float],
  log: Callable[[str], object] = print,
) -> Iterator[pool.Pool]:
  """Starts collectors, and ends what was started.

  Args:
    config: of the run, with all kinds chosen.
    spec: of the task.
    steps: of an episode, if that is known.
    count: of collectors.
    address: HOST:PORT of a cluster to join; none starts one here.
    lease_timeout: s that an episode may take.
    limits: `timeout` and `start_timeout` of workers.start.
    log: called with a line for all that goes wrong.
  """
  if not address:
    _check_memory(count)
  where = f'joining {address}' if address else 'starting Ray'
  log(f'{"collectors":11}{count}, {where}')
  settings = actor.Settings(
    config.to_dict(), spec.to_dict(), limits, os.getcwd()
  )
  store = None if address else store_mb(spec, steps, count)
  with engine.Engine(address, slots=count, store_mb=store) as started:
    yield pool.Pool(started, count, settings, lease_timeout, log)


def _check_memory(count: int) -> None:
  """Raises ClusterError where so many collectors are too many for a machine."""
  free = memory.free_bytes()
  most = None if free is None else free // (_COLLECTOR_MB * 2**20)
  if most is not None and count > max(1, most):
    needed = count * _COLLECTOR_MB / 1024
    raise engine.ClusterError(
      f'--collectors={count} would take about {needed:.0f} GB of memory on '
      f'this machine, which has {free / 2**30:.0f} left: at most '
      f'{max(1, most)}, or --cluster=HOST:PORT for more machines'
    )


def store_mb(spec: Spec, steps: int | None, count: int) -> int:
  """Returns the MiB of an object store in which nothing has to wait.

  Two episodes of each collector, one under way and one that is being stored.
  """
  row = spec.pixels + 4 * sum(spec.vectors.values()) + 64
  episodes = 2 * count * row * (steps or _STEPS) / 2**20
  wanted = int(episodes) + _PARAMETERS_MB
  with contextlib.suppress(OSError):
    wanted = min(wanted, shutil.disk_usage(_MEMORY).free // 2**21)
  return max(wanted, 80)
