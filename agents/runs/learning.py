"""The updates of a run: what each of them learns from, and what is kept.

What happens at an update is a function of the seed of the run, of the number of
the update and of the episodes that it may learn from. So a run that was stopped
comes out where it would have, bit for bit on one machine.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import ml_collections
import numpy as np
import tensorflow as tf

from worldmodels.agents.agent import WorldModelAgent
from worldmodels.agents.runs import checkpoint
from worldmodels.agents.runs import checkpoint_list
from worldmodels.agents.runs import memory
from worldmodels.agents.runs import team
from worldmodels.agents.runs.collect import seed_of
from worldmodels.agents.runs.experience import SAMPLE
from worldmodels.agents.runs.experience import TRAIN
from worldmodels.agents.runs.metrics import Metrics
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.data.store import Store

# After so many updates in a row without a finite gradient, a run stops.
MOST_SKIPPED = 20

Values = dict[str, Any]
Batch = dict[str, np.ndarray]


class Learning:
  """An agent that learns, from where its newest checkpoint left it.

  Attributes:
    begun: whether there was a checkpoint.
    updates: that have been done, those before that checkpoint included.
    wall_seconds: that the run had taken at the newest checkpoint.

  Args:
    config: of the run.
    directory: of the run.
    agent: who learns.
    log: called with a line of text.
    on_update: called after each update with how many there are.
    advice: what is said to do where gradients are not finite.
    change: what is done to a batch before an update, told its number.
    learners: who do the updates together; this process is one of them.
    start: updates of the checkpoint that is restored; None for the newest.
  """

  def __init__(
    self,
    config: ml_collections.ConfigDict,
    directory: RunDirectory,
    agent: WorldModelAgent,
    log: Callable[[str], Any],
    on_update: Callable[[int], Any],
    advice: str,
    change: Callable[[Batch, int], Batch] = lambda batch, update: batch,
    learners: team.Alone | None = None,
    start: int | None = None,
  ):
    self._config = config
    self._checkpoints = directory.checkpoints
    self._agent = agent
    self._on_update = on_update
    self._advice = advice
    self._change = change
    self._team = learners or team.Alone()
    self._update = self._team.update_of(agent)
    counters = checkpoint.restore(
      *(self._checkpoints, agent.state_variables, log),
      updates=start,
      keep=config.train.checkpoints if self._team.leads else None,
    )
    self.begun = counters is not None
    self.updates = (counters or {}).get('updates', 0)
    self.wall_seconds = (counters or {}).get('wall_seconds', 0.0)

  def learn(self, store: Store, until: int, limit: int | None = None) -> Values:
    """Does updates until there are so many; returns mean figures.

    Args:
      store: of the episodes to learn from.
      until: how many updates there are to be.
      limit: how many of the episodes, from the first, may be learned from.
    """
    train = self._config.train
    seed = seed_of(self._config.seed, TRAIN)
    start, first, sums = time.monotonic(), self.updates, {}
    self._team.begin(
      self.updates, until, store, limit, self._agent.state_variables
    )
    batches = store.chunks(
      train.batch,
      train.length,
      seed_of(self._config.seed, SAMPLE),
      start=self.updates,
      limit=limit,
      fixed=self._team.fixed,
      part=self._team.rows(train.batch),
      margin=train.margin,
      recency=train.recency,
    )
    with (
      contextlib.closing(batches),
      memory.during('an update', self._config, memory.LEARNING),
      self._team.explained(),
    ):
      while self.updates < until:
        batch = self._change(next(batches), self.updates)
        values = self._update(
          batch, tf.constant([seed, self.updates], tf.int32)
        )
        self.updates += 1
        for key, value in values.items():
          sums[key] = sums.get(key, 0.0) + value
        self._check_finite()
        self._on_update(self.updates)
    count = max(1, self.updates - first)
    values = {key: float(value) / count for key, value in sums.items()}
    values['update_seconds'] = (time.monotonic() - start) / count
    values['skipped_updates'] = self._agent.skipped[0]
    # A step may be finite, and what it makes of the weights not.
    checkpoint.check_finite(self._checkpoints, self._agent.state_variables)
    return values

  def save(self, metrics: Metrics) -> None:
    """Writes a checkpoint, once the figures that it counts are on disk."""
    metrics.sync()
    self.wall_seconds = metrics.wall_seconds
    checkpoint.save(
      self._checkpoints,
      self._agent.state_variables,
      dict(updates=self.updates, wall_seconds=self.wall_seconds),
      keep=self._config.train.checkpoints,
    )

  def _check_finite(self) -> None:
    """Raises RunError where gradients are not finite any more."""
    if self._agent.skipped[1] >= MOST_SKIPPED:
      last = checkpoint_list.last_whole(self._checkpoints)
      raise RunError(
        f'the gradients of {MOST_SKIPPED} updates in a row were not finite '
        f'(last update {self.updates}); the last good checkpoint is {last}: '
        f'{self._advice}'
      )
