"""What a process does that learns beside the one that leads; it writes nothing.

See team_workers.py.
"""

import functools
import os
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import keras
import ml_collections

from worldmodels.agents.runs import build
from worldmodels.agents.runs import checkpoint_list
from worldmodels.agents.runs import team_workers
from worldmodels.agents.runs.checkpoint_list import CheckpointError
from worldmodels.agents.runs.learning import Learning
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.data.store import Store

Found = TypeVar('Found')

# For files to be seen, which a network file system shows late.
_FILE_SECONDS, _LOOK_SECONDS = 60, 0.5
# Weights are alike to rounding: processors need not be.
_APART = 1e-3


def follow(learners: team_workers.Workers, directory: RunDirectory) -> None:
  """Learns until the first one says that there is no more.

  Args:
    learners: of which this is one.
    directory: of the run, which all have.
  """
  config, spec = learners.told()
  keras.utils.set_random_seed(config.seed)
  with learners.scope():
    agent = build.agent(config, spec)
  learning = None
  while (order := learners.hear()) is not None:
    store = open_store(order, config, directory.episodes)
    if learning is None:
      there = directory.checkpoints, order.updates
      _awaited(functools.partial(checkpoint_list.check, *there))
      learning = Learning(
        *(config, directory, agent, print),
        on_update=lambda updates: None,
        advice='see what the first learner says',
        learners=learners,
        start=order.updates,
      )
    check_weights(order, agent.state_variables)
    learning.learn(store, order.until, order.limit)


def open_store(
  order: team_workers.Order,
  config: ml_collections.ConfigDict,
  path: os.PathLike,
) -> Store:
  """Opens the store that another process learns from as well.

  Raises:
    TeamError: its episodes are others.
  """

  def opened() -> Store:
    store = Store(
      path, memory_bytes=config.store.memory_mb * 2**20, reading=True
    )
    if team_workers.fingerprint(store, order.limit) != order.episodes:
      raise team_workers.TeamError(
        f'{path} has {store.episodes} episodes here, which are not the '
        f'{order.limit} that the first learner has: --logdir has to be the '
        'same folder on all machines'
      )
    return store

  return _awaited(opened)


def check_weights(
  order: team_workers.Order, variables: Sequence[keras.Variable]
) -> None:
  """Raises TeamError where weights are not those of the first learner."""
  mine = team_workers.measure(variables)
  if abs(mine - order.weights) > _APART * abs(order.weights):
    raise team_workers.TeamError(
      f'the weights differ from those of the first learner (a sum of {mine:.6g}'
      f', there {order.weights:.6g}): the learners have come apart'
    )


def _awaited(look: Callable[[], Found]) -> Found:
  """Returns what is found, once it is what others have written."""
  end = time.monotonic() + _FILE_SECONDS
  while True:
    try:
      return look()
    except (CheckpointError, FileNotFoundError, team_workers.TeamError):
      if time.monotonic() > end:
        raise
    time.sleep(_LOOK_SECONDS)
