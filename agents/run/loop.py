"""The loop: PlaNet's algorithm 1 (Hafner et al., 2019), which Dreamer shares.

What happens at each update and in each episode is a function of the seed, of
the number of the update or episode and of the episodes before it. So a run
that was killed comes out where it would have come out, bit for bit on one
machine (as long as store.capacity drops nothing).
"""

import concurrent.futures
import time

import keras
import numpy as np
import tensorflow as tf

from agents import checkpoint
from agents import uniform
from data import episodes as stores

from . import acting
from . import build
from . import evaluation
from . import metrics as logs
from . import numbering
from . import progress
from . import rollout
from . import run_directory

# Streams of random numbers, so that no two purposes share one.
COLLECT, HELDOUT, EVALUATE, TRAIN, SAMPLE = range(5)
# After so many updates in a row without a finite gradient, a run stops.
MOST_SKIPPED = 20


def share_cores(config):
  """Chooses TensorFlow's threads; before TensorFlow computes anything.

  When learning and acting overlap each of them gets half of the cores: with
  all of them for both, their operations wait for each other's threads.
  """
  if config.train.overlap:
    acting.share_cores()


class Training:
  """One run: the store, the agent, and the order in which they meet.

  Args:
    config: as configs/*.py make it.
    directory: a RunDirectory, claimed.
    environment: a worker.
    poison_from: update from which on all rewards are NaN, for tests.
  """

  def __init__(self, config, directory, environment, poison_from=None):
    self.config = config
    self.directory = directory
    self.environment = environment
    self.progress = progress.Progress()
    log = self.progress.line
    self._check_end()
    keras.utils.set_random_seed(config.seed)  # Of the first parameters.
    self.agent = build.agent(config, environment)
    # Beside the learner the actor needs parameters that stand still; and it
    # acts on their average, which is not what is learned on.
    own = config.train.overlap or self.agent.averages
    self.actor = build.agent(config, environment) if own else self.agent
    directory.start(config)  # From here on it is a run.
    metadata = dict(
        task=config.task, action_repeat=self.environment.action_repeat,
        quality=self.environment.quality, size=config.environment.size)
    options = dict(metadata=metadata, log=log,
                   memory_bytes=config.store.memory_mb * 2 ** 20)
    self.store = stores.Store(
        self.directory.episodes, capacity=config.store.capacity, **options)
    self.heldout = stores.Store(self.directory.heldout, **options)
    counters = checkpoint.restore(
        self.directory.checkpoints, self.agent.state_variables, log)
    if counters is None and self.store.next_index > config.train.seed_episodes:
      raise run_directory.RunError(
          f'{self.directory.episodes} holds {self.store.next_index} episodes '
          f'but {self.directory.checkpoints} no checkpoint: nothing to '
          'continue from; give another --logdir')
    self._begun = counters is not None
    counters = counters or dict(updates=0, wall_seconds=0.0)
    self.updates = counters['updates']
    self.metrics = logs.Metrics(
        self.directory, config.train.episodes, self.updates,
        counters['wall_seconds'], log)
    self._poison_from = poison_from

  def run(self):
    """Trains to the end; evaluates; says where everything is."""
    train = self.config.train
    self.progress.start(self, self._updates_before(train.episodes))
    try:
      with concurrent.futures.ThreadPoolExecutor(1) as pool:
        self._seed_episodes()
        for index in range(self._episodes_at(self.updates), train.episodes):
          self._iterate(index, pool)
      values = self.metrics.end or self._last_evaluation()
    finally:
      self.progress.close()
      self.environment.close()
    self.progress.end(self, values)

  def _iterate(self, index, pool):
    """Learns from the episodes before `index` and collects that one.

    With train.overlap both at once: the episode is then collected with the
    parameters from before these updates, where PlaNet takes those from after.
    """
    if self.config.train.overlap:
      self.actor.adopt(self.agent)
      acting_done = pool.submit(self._act, index)
      values = self._train(index)
      values.update(acting_done.result())
    else:
      values = self._train(index)
      self.actor.adopt(self.agent)
      values.update(self._act(index))
    self._report(index + 1, values)
    self._save()

  def _check_end(self):
    """Raises RunError if the run is past the end that is asked for."""
    done = checkpoint.listing(self.directory.checkpoints)
    episodes = self._episodes_at(int(done[-1].name)) if done else 0
    if episodes > self.config.train.episodes:
      raise run_directory.RunError(
          f'{self.directory.path} has {episodes} episodes, train.episodes is '
          f'{self.config.train.episodes}')

  def _episodes_at(self, updates):
    """The number of the episode that is collected after `updates`."""
    train = self.config.train
    done = max(0, updates - train.first_updates) // train.updates
    return train.seed_episodes + done

  def _updates_before(self, index):
    """How many updates a run has done when it collects episode `index`."""
    train = self.config.train
    return train.first_updates + (
        index - train.seed_episodes) * train.updates

  def _seed_episodes(self):
    """Collects random episodes, for both stores, where they are not there.

    The first parameters are then saved: episodes that were collected with
    them could not be continued from without.
    """
    config = self.config
    random = uniform.Agent(
        actions=self.environment.action_size,
        discrete=self.environment.discrete)
    for store, stream in ((self.store, COLLECT), (self.heldout, HELDOUT)):
      deleted = store.collected_episodes - store.episodes
      for index in range(deleted, config.train.seed_episodes):
        if index not in numbering.numbers(store):
          seed = rollout.seed_of(config.seed, stream, index)
          (episode,) = self._rollouts(random, True, [seed])
          store.append(episode, index=index)
    if not self._begun:
      self.agent.begin(np.concatenate(
          [self.store.episode(position)['image'] for position in range(
              min(config.train.seed_episodes, self.store.episodes))]))
      self._save()

  def _train(self, index):
    """Updates until episode `index` may be collected; mean metrics."""
    train = self.config.train
    until = self._updates_before(index + 1)
    sampling = rollout.seed_of(self.config.seed, SAMPLE)
    seed = rollout.seed_of(self.config.seed, TRAIN)
    start, first, sums = time.monotonic(), self.updates, {}
    batches = self.store.chunks(
        train.batch, train.length, sampling, start=self.updates,
        limit=numbering.before(self.store, index))
    try:
      while self.updates < until:
        batch = self._tensors(next(batches))
        values = self.agent.train(
            batch, tf.constant([seed, self.updates], tf.int32))
        self.updates += 1
        for key, value in values.items():
          sums[key] = sums.get(key, 0.0) + value
        self._check_finite()
        self.progress.update(self.updates)
    finally:
      batches.close()
    count = max(1, self.updates - first)
    values = {key: float(value) / count for key, value in sums.items()}
    values['update_seconds'] = (time.monotonic() - start) / count
    values['skipped_updates'] = self.agent.skipped[0]
    return values

  def _tensors(self, batch):
    if self._poison_from is not None and self.updates >= self._poison_from:
      batch['reward'] = batch['reward'] * np.nan
    return {key: tf.constant(value) for key, value in batch.items()}

  def _check_finite(self):
    """Stops a run whose gradients are not finite any more."""
    if self.agent.skipped[1] >= MOST_SKIPPED:
      last = checkpoint.listing(self.directory.checkpoints)
      raise run_directory.RunError(
          f'the gradients of {MOST_SKIPPED} updates in a row were not finite '
          f'(last update {self.updates}); the last good checkpoint is '
          f'{last[-1] if last else "none yet"}: look at the losses in '
          f'{self.directory.metrics}, lower optimizer.rate')

  def _act(self, index):
    """Evaluates if it is time to, then collects episode `index`."""
    values = {}
    train, every = self.config.train, self.config.evaluate.every
    if (index - train.seed_episodes) % every == 0:
      values.update(self._evaluate(index))
    start = time.monotonic()
    if index not in numbering.numbers(self.store):
      seed = rollout.seed_of(self.config.seed, COLLECT, index)
      (episode,) = self._rollouts(self.actor, True, [seed])
      self.store.append(episode, index=index)
    values['acting_seconds'] = time.monotonic() - start
    values['return'] = self.store.returns[numbering.before(self.store, index)]
    return values

  def _evaluate(self, index):
    """Episodes without noise, kept for open-loop error, never trained on."""
    config, start = self.config, time.monotonic()
    past = (index - config.train.seed_episodes) // config.evaluate.every
    first = config.train.seed_episodes + past * config.evaluate.episodes
    numbers = range(first, first + config.evaluate.episodes)
    for number in numbers:
      if number not in numbering.numbers(self.heldout):
        seed = rollout.seed_of(config.seed, EVALUATE, index, number)
        (episode,) = self._rollouts(self.actor, False, [seed])
        self.heldout.append(episode, index=number)
    numbers = [numbering.before(self.heldout, number) for number in numbers]
    returns = [self.heldout.returns[number] for number in numbers]
    return dict(
        evaluation_return=float(np.mean(returns)),
        evaluation_seconds=time.monotonic() - start,
        **self._look(numbers))

  def _look(self, numbers):
    """Figures and videos of held-out episodes of the policy."""
    return {
        **evaluation.open_loop(
            self.actor.model, self.heldout, self.config, numbers),
        **evaluation.behaviour(
            self.actor, self.heldout, self.config, numbers)}

  def _last_evaluation(self):
    """More episodes at the end, and what the run amounts to."""
    config = self.config
    self.actor.adopt(self.agent)
    returns = []
    for number in range(config.evaluate.last_episodes):
      seed = rollout.seed_of(
          config.seed, EVALUATE, config.train.episodes, number)
      (episode,) = self._rollouts(self.actor, False, [seed])
      returns.append(float(episode['reward'].sum()))
      self.progress.note(f'last evaluation, episode {number + 1} of '
                         f'{config.evaluate.last_episodes}')
    values = dict(last_evaluation_mean=float(np.mean(returns)),
                  last_evaluation_std=float(np.std(returns)),
                  last_evaluation_returns=returns)
    numbers = range(self.heldout.episodes)[-config.evaluate.episodes:]
    values.update(self._look(numbers))
    self._report(config.train.episodes, values)
    return values

  def _rollouts(self, agent, explore, seeds):
    """Episodes of an agent; starts them over when a worker fails."""
    return acting.episodes(
        agent, [self.environment], seeds, explore, self.progress.line)

  def _report(self, episodes, values):
    counters = dict(
        env_steps=numbering.env_steps(self.store, episodes), episodes=episodes,
        updates=self.updates)
    videos = {key: values.pop(key) for key in list(values)
              if key.endswith('_video')}
    self.metrics.write(counters, values)
    for name, frames in videos.items():
      self.metrics.video(name, frames, self.updates)
    self.progress.episode(counters, values, self.metrics.wall_seconds)

  def _save(self):
    checkpoint.save(
        self.directory.checkpoints, self.agent.state_variables,
        dict(updates=self.updates, wall_seconds=self.metrics.wall_seconds),
        keep=self.config.train.checkpoints)
