"""Learns from recorded episodes alone: no task, nothing is collected.

Its updates are those of `learning`, all of them from the same episodes.
"""

import time

import keras
import ml_collections
import numpy as np

from worldmodels.agents.runs import build
from worldmodels.agents.runs import evaluation
from worldmodels.agents.runs import memory
from worldmodels.agents.runs import terminal
from worldmodels.agents.runs.fit_progress import Progress
from worldmodels.agents.runs.learning import Learning
from worldmodels.agents.runs.learning import Values
from worldmodels.agents.runs.metrics import Metrics
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.data.store import Store
from worldmodels.spec import Spec

_IMAGES = 2000  # whose statistics the model is given
_MEASURED = 16  # held-out episodes, of which all fit into memory


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
    self.agent = self.shown = build.learning_agent(config, spec)
    if self.agent.acts_on_averages:  # They are what is shown and kept.
      self.shown = build.agent(config, spec)
    log, bound = self.progress.line, config.store.memory_mb * 2**20
    self.store, self.heldout = (
      Store(path, log=log, memory_bytes=bound)
      for path in (directory.episodes, directory.heldout)
    )
    self.learning = Learning(
      *(config, directory, self.agent, log),
      on_update=self.progress.update,
      advice='lower optimizer.rate, or look at the rewards and vectors of the '
      'data',
    )
    if self.learning.updates > config.train.updates_total:
      raise RunError(
        f'{directory.path} has {self.learning.updates} updates, '
        f'train.updates_total is {config.train.updates_total}'
      )
    self.metrics = Metrics(
      directory,
      self.store.episodes,
      self.learning.updates,
      self.learning.wall_seconds,
      log,
      config,
      axis='updates',
    )

  def run(self) -> None:
    """Learns to the end; says where everything is."""
    self._introduce()
    try:
      if not self.learning.begun:
        self.agent.fit_statistics(self._images())
        self.learning.save(self.metrics)
      total, each = self.config.train.updates_total, self.config.train.updates
      while self.learning.updates < total:
        until = min(total, (self.learning.updates // each + 1) * each)
        values = self.learning.learn(self.store, until)
        if until == total or until // each % self.config.evaluate.every == 0:
          values |= self.measure()
        self.metrics.write(self._counters(), values)
        self.progress.row(until, values, self.metrics.wall_seconds)
        self.learning.save(self.metrics)
    finally:
      self.progress.close()
    self.progress.end(self.directory.path, self.metrics.wall_seconds)

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
    if not values and self.learning.updates == self.config.train.updates_total:
      self.progress.line(
        f'no held-out episode has {context + horizon} rows: no open-loop error'
      )
    return {**values, 'evaluation_seconds': time.monotonic() - start}

  def _introduce(self) -> None:
    """Says what is learned from what."""
    train = self.config.train
    self.progress.start(
      [
        f'learning   {self.store.episodes} episodes, {self.store.agent_steps} '
        f'actions; {self.heldout.episodes} held out',
        f'length     {train.updates_total} updates of {train.batch} x '
        f'{train.length} images, {self.learning.updates} done',
        f'agent      {terminal.count(self.agent.trainable_variables):,} '
        'parameters',
      ],
      self.learning.updates,
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
      updates=self.learning.updates,
    )
