"""Learns from recorded episodes alone: no task, nothing is collected.

What happens at each update is a function of the seed of the run and of the
number of the update, so that a run that was stopped comes out where it would
have, bit for bit on one machine.
"""

import contextlib
import time
from typing import Any

import keras
import ml_collections
import numpy as np
import tensorflow as tf

from worldmodels import states
from worldmodels.agents.runs import build
from worldmodels.agents.runs import checkpoint
from worldmodels.agents.runs import checkpoint_list
from worldmodels.agents.runs import evaluation
from worldmodels.agents.runs import memory
from worldmodels.agents.runs import terminal
from worldmodels.agents.runs.collect import seed_of
from worldmodels.agents.runs.experience import SAMPLE
from worldmodels.agents.runs.experience import TRAIN
from worldmodels.agents.runs.fit_progress import Progress
from worldmodels.agents.runs.loop import MOST_SKIPPED
from worldmodels.agents.runs.metrics import Metrics
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.data.store import Store
from worldmodels.spec import Spec

_IMAGES = 2000  # whose statistics the model is given
_MEASURED = 16  # held-out episodes, of which all fit into memory

Values = dict[str, Any]


class Fitting:
  """One run of `fit`: an agent and two stores.

  Args:
    config: of the run.
    directory: of the run, with its episodes.
    spec: of what they show and take.
  """

  def __init__(
    self,
    config: ml_collections.ConfigDict,
    directory: RunDirectory,
    spec: Spec,
  ):
    self.config = config
    self.directory = directory
    self.progress = Progress(config.train.updates_total)
    keras.utils.set_random_seed(config.seed)  # Of the first parameters.
    self.agent = self.shown = build.agent(config, spec)
    if self.agent.acts_on_averages:  # They are what is shown and kept.
      self.shown = build.agent(config, spec)
    log, bound = self.progress.line, config.store.memory_mb * 2**20
    self.store, self.heldout = (
      Store(path, log=log, memory_bytes=bound)
      for path in (directory.episodes, directory.heldout)
    )
    counters = checkpoint.restore(
      *(directory.checkpoints, self.agent.state_variables, log),
      keep=config.train.checkpoints,
    )
    self._begun = counters is not None
    counters = counters or {}
    self.updates = counters.get('updates', 0)
    if self.updates > config.train.updates_total:
      raise RunError(
        f'{directory.path} has {self.updates} updates, train.updates_total is '
        f'{config.train.updates_total}'
      )
    self.metrics = Metrics(
      directory,
      self.store.episodes,
      self.updates,
      counters.get('wall_seconds', 0.0),
      log,
      config,
      axis='updates',
    )

  def run(self) -> None:
    """Learns to the end; says where everything is."""
    self._introduce()
    try:
      if not self._begun:
        self.agent.fit_statistics(self._images())
        self.save()
      total, each = self.config.train.updates_total, self.config.train.updates
      while self.updates < total:
        until = min(total, (self.updates // each + 1) * each)
        values = self.learn(until)
        if until == total or until // each % self.config.evaluate.every == 0:
          values |= self.measure()
        self.metrics.write(self._counters(), values)
        self.progress.row(self.updates, values, self.metrics.wall_seconds)
        self.save()
    finally:
      self.progress.close()
    self.progress.end(self.directory.path, self.metrics.wall_seconds)

  def learn(self, until: int) -> Values:
    """Does updates until there are so many; returns mean figures."""
    train = self.config.train
    seed = seed_of(self.config.seed, TRAIN)
    start, first, sums = time.monotonic(), self.updates, {}
    batches = self.store.chunks(
      train.batch,
      train.length,
      seed_of(self.config.seed, SAMPLE),
      start=self.updates,
    )
    with (
      contextlib.closing(batches),
      memory.during('an update', self.config, memory.LEARNING),
    ):
      while self.updates < until:
        values = self.agent.train(
          states.tensors(next(batches)),
          tf.constant([seed, self.updates], tf.int32),
        )
        self.updates += 1
        for key, value in values.items():
          sums[key] = sums.get(key, 0.0) + value
        self._check_finite()
        self.progress.update(self.updates)
    count = max(1, self.updates - first)
    values = {key: float(value) / count for key, value in sums.items()}
    values['update_seconds'] = (time.monotonic() - start) / count
    values['skipped_updates'] = self.agent.skipped[0]
    checkpoint.check_finite(
      self.directory.checkpoints, self.agent.state_variables
    )
    return values

  def measure(self) -> Values:
    """Measures the open-loop error on the held-out episodes, and films it."""
    start = time.monotonic()
    self.shown.copy_from(self.agent)
    context = self.config.evaluate.context
    horizon = self.config.evaluate.horizon
    long = [
      place
      for place, rows in enumerate(self.heldout.lengths)
      if rows >= context + horizon
    ]
    places = long[:: -(-len(long) // _MEASURED) or 1]
    with memory.during('an evaluation', self.config, memory.MEASURING):
      values = evaluation.open_loop_of(
        *(self.shown.model, 'recorded', self.heldout, places),
        *(context, horizon),
      )
    if not values and self.updates == self.config.train.updates_total:
      self.progress.line(
        f'no held-out episode has {context + horizon} rows: no open-loop error'
      )
    return {**values, 'evaluation_seconds': time.monotonic() - start}

  def save(self) -> None:
    """Writes a checkpoint, once the figures that it counts are on disk."""
    self.metrics.sync()
    checkpoint.save(
      self.directory.checkpoints,
      self.agent.state_variables,
      dict(updates=self.updates, wall_seconds=self.metrics.wall_seconds),
      keep=self.config.train.checkpoints,
    )

  def _introduce(self) -> None:
    """Says what is learned from what."""
    train = self.config.train
    self.progress.start(
      [
        f'learning   {self.store.episodes} episodes, {self.store.agent_steps} '
        f'actions; {self.heldout.episodes} held out',
        f'length     {train.updates_total} updates of {train.batch} x '
        f'{train.length} images, {self.updates} done',
        f'agent      {terminal.count(self.agent.trainable_variables):,} '
        'parameters',
      ],
      self.updates,
    )

  def _images(self) -> np.ndarray:
    """Returns images to take statistics of, uint8 [N, h, w, c]."""
    length = self.config.train.length
    chunks = max(1, _IMAGES // length)
    image = self.store.sample(chunks, length, self.config.seed)['image']
    return image.reshape(-1, *image.shape[2:])

  def _counters(self) -> dict[str, int]:
    return dict(
      env_steps=self.store.env_steps,
      episodes=self.store.episodes,
      updates=self.updates,
    )

  def _check_finite(self) -> None:
    """Raises RunError where gradients are not finite any more."""
    if self.agent.skipped[1] >= MOST_SKIPPED:
      last = checkpoint_list.last_whole(self.directory.checkpoints)
      raise RunError(
        f'the gradients of {MOST_SKIPPED} updates in a row were not finite '
        f'(last update {self.updates}); the last good checkpoint is {last}: '
        'lower optimizer.rate, or look at the rewards and vectors of the data'
      )
