"""The loop: PlaNet's algorithm 1 (Hafner et al., 2019), which Dreamer shares.

What happens at each update and in each episode is a function of the seed, of
the number of the update or episode and of the episodes before it. So a run
that was killed comes out where it would have come out, bit for bit on one
machine (as long as store.capacity drops nothing).
"""

import concurrent.futures
import time
from collections.abc import Sequence
from typing import Any

import keras
import ml_collections
import numpy as np
import tensorflow as tf

from worldmodels import cores
from worldmodels import states
from worldmodels.agents.runs import build
from worldmodels.agents.runs import checkpoint
from worldmodels.agents.runs import evaluation
from worldmodels.agents.runs import terminal
from worldmodels.agents.runs.collect import seed_of
from worldmodels.agents.runs.experience import SAMPLE
from worldmodels.agents.runs.experience import TRAIN
from worldmodels.agents.runs.experience import Experience
from worldmodels.agents.runs.metrics import Metrics
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.agents.runs.schedule import Schedule
from worldmodels.data import workers

# After so many updates in a row without a finite gradient, a run stops.
MOST_SKIPPED = 20

Values = dict[str, Any]


def share_cores(config: ml_collections.ConfigDict) -> None:
  """Chooses TensorFlow's threads; before TensorFlow computes anything.

  When learning and acting overlap each of them gets half of the cores: with
  all of them for both, their operations wait for each other's threads.
  """
  if config.train.overlap:
    cores.halve_threads()


class Training:
  """One run: the store, the agent, and the order in which they meet.

  Args:
    config: as configs/*.py make it.
    directory: of the run, claimed.
    environment: a worker.
    poison_from: update from which on all rewards are NaN, for tests.
  """

  def __init__(
    self,
    config: ml_collections.ConfigDict,
    directory: RunDirectory,
    environment: workers.Worker,
    poison_from: int | None = None,
  ):
    self.config = config
    self.directory = directory
    self.environment = environment
    self.schedule = Schedule(config.train, config.evaluate)
    self.terminal = terminal.Terminal()
    self._poison_from = poison_from
    self._check_end()
    # Who learns, and who acts. Beside the learner the actor needs parameters
    # that stand still; and it acts on their average, which is not trained.
    keras.utils.set_random_seed(config.seed)  # Of the first parameters.
    spec = build.spec_of(environment)
    self.agent = self.actor = build.agent(config, spec)
    if config.train.overlap or self.agent.acts_on_averages:
      self.actor = build.agent(config, spec)
    # What there is already.
    directory.start(config, spec)  # From here on it is a run.
    self.experience = Experience(
      config, directory, spec, self.actor, environment, self.terminal.line
    )
    counters = checkpoint.restore(
      directory.checkpoints, self.agent.state_variables, self.terminal.line
    )
    there = self.experience.store.next_index
    if counters is None and there > config.train.seed_episodes:
      raise RunError(
        f'{directory.episodes} holds {there} episodes but '
        f'{directory.checkpoints} no checkpoint: nothing to continue from; '
        'give another --logdir'
      )
    self._begun = counters is not None
    counters = counters or dict(updates=0, wall_seconds=0.0)
    self.updates = counters['updates']
    self.metrics = Metrics(
      directory,
      config.train.episodes,
      self.updates,
      counters['wall_seconds'],
      self.terminal.line,
    )

  def run(self) -> None:
    """Trains to the end; evaluates; says where everything is."""
    self.terminal.start(
      self.config,
      self.directory.path,
      self.environment,
      self.experience.store,
      terminal.count(self.agent.state_variables),
      self.updates,
      self.schedule.updates_before(self.config.train.episodes),
    )
    try:
      self.begin()
      with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for episode in self.schedule.episodes(self.updates):
          values = self.learn_and_collect(episode, pool)
          self.report(episode + 1, values)
          self.save()
      values = self.metrics.end or self.last_evaluation()
    finally:
      self.terminal.close()
      self.environment.close()
    self.terminal.end(self.directory.path, values, self.metrics.wall_seconds)

  def learn_and_collect(
    self, episode: int, pool: concurrent.futures.Executor
  ) -> Values:
    """Learns from the episodes before `episode` and collects that one.

    With train.overlap both at once: the episode is then collected with the
    parameters from before these updates, where PlaNet takes those from after.
    """
    if self.config.train.overlap:
      self.actor.copy_from(self.agent)
      collected = pool.submit(self.collect, episode)
      return self.learn(episode) | collected.result()
    values = self.learn(episode)
    self.actor.copy_from(self.agent)
    return values | self.collect(episode)

  def begin(self) -> None:
    """Collects random episodes, and saves the first parameters.

    Episodes that were collected with them could not be continued from without.
    """
    self.experience.collect_random()
    if not self._begun:
      self.agent.fit_statistics(self.experience.random_images())
      self.save()

  def learn(self, episode: int) -> Values:
    """Updates until `episode` may be collected; returns mean metrics."""
    train = self.config.train
    until = self.schedule.updates_before(episode + 1)
    seed = seed_of(self.config.seed, TRAIN)
    start, first, sums = time.monotonic(), self.updates, {}
    batches = self.experience.store.chunks(
      train.batch,
      train.length,
      seed_of(self.config.seed, SAMPLE),
      start=self.updates,
      limit=self.experience.store.before(episode),
    )
    try:
      while self.updates < until:
        batch = self._poison(next(batches))
        values = self.agent.train(
          states.tensors(batch), tf.constant([seed, self.updates], tf.int32)
        )
        self.updates += 1
        for key, value in values.items():
          sums[key] = sums.get(key, 0.0) + value
        self._check_finite()
        self.terminal.update(self.updates)
    finally:
      batches.close()
    count = max(1, self.updates - first)
    values = {key: float(value) / count for key, value in sums.items()}
    values['update_seconds'] = (time.monotonic() - start) / count
    values['skipped_updates'] = self.agent.skipped[0]
    return values

  def collect(self, episode: int) -> Values:
    """Evaluates if it is time to, then collects `episode`."""
    values = {}
    if self.schedule.evaluates(episode):
      values.update(self.evaluate(episode))
    start = time.monotonic()
    values['return'] = self.experience.collect(episode)
    values['acting_seconds'] = time.monotonic() - start
    return values

  def evaluate(self, episode: int) -> Values:
    """Collects held-out episodes without noise, and measures them."""
    start = time.monotonic()
    positions, returns = self.experience.collect_heldout(episode)
    return dict(
      evaluation_return=float(np.mean(returns)),
      evaluation_seconds=time.monotonic() - start,
      **self._measure(positions),
    )

  def last_evaluation(self) -> Values:
    """Runs and reports the episodes of the last evaluation."""
    evaluate = self.config.evaluate
    self.actor.copy_from(self.agent)
    returns = self.experience.last_returns(
      lambda done: self.terminal.note(
        f'last evaluation, episode {done} of {evaluate.last_episodes}'
      )
    )
    newest = range(self.experience.heldout.episodes)[-evaluate.episodes :]
    values = dict(
      last_evaluation_mean=float(np.mean(returns)),
      last_evaluation_std=float(np.std(returns)),
      last_evaluation_returns=returns,
      **self._measure(newest),
    )
    self.report(self.config.train.episodes, values)
    return values

  def report(self, episodes: int, values: Values) -> None:
    """Writes figures and films after so many episodes, and prints a line."""
    counters = dict(
      env_steps=self.experience.store.env_steps_before(episodes),
      episodes=episodes,
      updates=self.updates,
    )
    films = {key: value for key, value in values.items() if _is_film(key)}
    for key in films:
      values.pop(key)
    self.metrics.write(counters, values)
    for key, frames in films.items():
      self.metrics.video(key, frames, self.updates)
    self.terminal.episode(counters, values, self.metrics.wall_seconds)

  def save(self) -> None:
    """Writes a checkpoint."""
    checkpoint.save(
      self.directory.checkpoints,
      self.agent.state_variables,
      dict(updates=self.updates, wall_seconds=self.metrics.wall_seconds),
      keep=self.config.train.checkpoints,
    )

  def _measure(self, positions: Sequence[int]) -> Values:
    """Returns figures and films of held-out episodes of the policy."""
    chosen = (self.experience.heldout, self.config, positions)
    return {
      **evaluation.open_loop(self.actor.model, *chosen),
      **evaluation.behavior(self.actor, *chosen),
    }

  def _poison(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Makes rewards NaN from the update on that a test asks for."""
    if self._poison_from is not None and self.updates >= self._poison_from:
      batch['reward'] = batch['reward'] * np.nan
    return batch

  def _check_end(self) -> None:
    """Raises RunError if the run is past the end that is asked for."""
    done = checkpoint.complete(self.directory.checkpoints)
    episodes = self.schedule.episodes_at(int(done[-1].name)) if done else 0
    if episodes > self.config.train.episodes:
      raise RunError(
        f'{self.directory.path} has {episodes} episodes, train.episodes is '
        f'{self.config.train.episodes}'
      )

  def _check_finite(self) -> None:
    """Raises RunError where gradients are not finite any more."""
    if self.agent.skipped[1] >= MOST_SKIPPED:
      last = checkpoint.complete(self.directory.checkpoints)
      raise RunError(
        f'the gradients of {MOST_SKIPPED} updates in a row were not finite '
        f'(last update {self.updates}); the last good checkpoint is '
        f'{last[-1] if last else "none yet"}: look at the losses in '
        f'{self.directory.metrics}, lower optimizer.rate'
      )


def _is_film(key: str) -> bool:
  return key.endswith('_video')
