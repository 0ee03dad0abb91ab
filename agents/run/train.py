"""Trains an agent: PlaNet's algorithm 1 (Hafner et al., 2019).

  python -m agents.run.train --config=configs/planet.py:cpu --logdir=runs/x

The same command continues a run that was stopped, however it was stopped.
"""

import sys
import time

import numpy as np
import tensorflow as tf

from agents import checkpoint
from agents import uniform
from data import episodes as stores

from . import build
from . import launch
from . import rollout
from . import run_directory
from . import metrics as logs

# Streams of random numbers, so that no two purposes share one.
COLLECT, ACT, HELDOUT, EVALUATE, TRAIN, SAMPLE = range(6)


class Training:
  """One run: the store, the agent, and the order in which they meet.

  What happens at each update and in each episode is a function of the seed,
  the update's and the episode's number and of the episodes before, so a run
  that was killed comes out where it would have come out.
  """

  def __init__(self, config, logdir, log=print):
    self.config = config
    self.directory = run_directory.RunDirectory(logdir)
    self.directory.open(config)
    self.log = log
    self.environment = build.environment(config)
    metadata = dict(
        task=config.task, action_repeat=self.environment.action_repeat,
        quality=self.environment.quality, size=config.environment.size)
    memory = config.store.memory_mb * 2 ** 20
    self.store = stores.Store(
        self.directory.episodes, capacity=config.store.capacity,
        metadata=metadata, memory_bytes=memory, log=log)
    self.heldout = stores.Store(
        self.directory.heldout, metadata=metadata, memory_bytes=memory,
        log=log)
    self.agent = build.agent(config, self.environment)
    counters = checkpoint.restore(
        self.directory.checkpoints, self.agent.state_variables, log) or {
            'updates': 0, 'wall_seconds': 0.0}
    self.updates = counters['updates']
    self.metrics = logs.Metrics(
        self.directory, self.updates, counters['wall_seconds'])
    self._best = []

  def run(self):
    """Trains to the end."""
    train = self.config.train
    self._seed_episodes()
    for index in range(self._episodes_at(self.updates), train.episodes):
      values = self._train(index)
      if (index - train.seed_episodes) % self.config.evaluate.every == 0:
        values.update(self._evaluate(index))
      if self.store.episodes <= index:
        values['acting_seconds'] = self._collect(index)
      values['return'] = self.store.returns[index]
      self._report(index + 1, values)
      self._save()
    values = self._evaluate(train.episodes)
    self._report(train.episodes, values)

  def _episodes_at(self, updates):
    """How many episodes are in the store when `updates` are done."""
    train = self.config.train
    done = max(0, updates - train.first_updates) // train.updates
    return train.seed_episodes + done

  def _seed_episodes(self):
    config = self.config
    random = uniform.Agent(actions=self.environment.action_size)
    for store, stream in ((self.store, COLLECT), (self.heldout, HELDOUT)):
      for index in range(store.episodes, config.train.seed_episodes):
        seed = rollout.seed_of(config.seed, stream, index)
        (episode,) = rollout.rollouts(
            rollout.agent_actor(random, 1, True, seed), [self.environment],
            [seed])
        store.append(episode, index=index)
    if not self.updates:
      self.agent.begin(np.concatenate(
          [self.store.episode(index)['image']
           for index in range(config.train.seed_episodes)]))

  def _train(self, index):
    """Trains until episode `index` may be collected; mean metrics."""
    train = self.config.train
    until = train.first_updates + (
        index - train.seed_episodes + 1) * train.updates
    start, sums, count = time.monotonic(), {}, 0
    seed = rollout.seed_of(self.config.seed, SAMPLE)
    train_seed = rollout.seed_of(self.config.seed, TRAIN)
    batches = self.store.chunks(
        train.batch, train.length, seed, start=self.updates, limit=index)
    try:
      while self.updates < until:
        batch = {key: tf.constant(value)
                 for key, value in next(batches).items()}
        values = self.agent.train(
            batch, tf.constant([train_seed, self.updates], tf.int32))
        self.updates += 1
        count += 1
        for key, value in values.items():
          sums[key] = sums.get(key, 0.0) + value
    finally:
      batches.close()
    seconds = time.monotonic() - start
    values = {key: float(value) / count for key, value in sums.items()}
    return dict(values, update_seconds=seconds / max(1, count))

  def _collect(self, index):
    start = time.monotonic()
    seed = rollout.seed_of(self.config.seed, COLLECT, index)
    act = rollout.agent_actor(
        self.agent, 1, True, rollout.seed_of(self.config.seed, ACT, index))
    (episode,) = rollout.rollouts(act, [self.environment], [seed])
    self.store.append(episode, index=index)
    return time.monotonic() - start

  def _evaluate(self, index):
    from worldmodels import open_loop
    config = self.config.evaluate
    start = time.monotonic()
    returns = []
    for number in range(config.episodes):
      seed = rollout.seed_of(self.config.seed, EVALUATE, index, number)
      (episode,) = rollout.rollouts(
          rollout.agent_actor(self.agent, 1, False, seed),
          [self.environment], [seed])
      returns.append(float(episode['reward'].sum()))
      self.heldout.append(episode)
    values = {'evaluation_return': np.mean(returns),
              'evaluation_seconds': time.monotonic() - start}
    count = self.heldout.episodes
    for name, chosen in (('random', range(config_seed(self.config))),
                         ('policy', range(count - config.episodes, count))):
      batch = windows([self.heldout.episode(i) for i in chosen],
                      config.context + config.horizon)
      errors = tf.function(open_loop.errors)(
          self.agent.model, batch, config.context)
      for key, value in errors.items():
        values[f'open_loop_{name}_{key}'] = value.numpy()
    return values

  def _report(self, episodes, values):
    counters = dict(
        env_steps=int(sum(self.store.lengths[:episodes]) - episodes)
        * self.environment.action_repeat, episodes=episodes,
        updates=self.updates)
    self.metrics.write(counters, values)
    parts = [f'{self.metrics.wall_seconds:6.0f}s', f'episode {episodes:4d}',
             f'updates {self.updates:6d}']
    for key in ('return', 'evaluation_return', 'image_loss', 'reward_loss',
                'divergence', 'overshoot_kl_loss', 'gradient_norm',
                'update_seconds', 'acting_seconds'):
      if key in values:
        parts.append(f'{key} {float(values[key]):.3g}')
    for key, value in values.items():
      if np.ndim(value) and not key.endswith('variance'):
        parts.append(f'{key[10:]} ' + '/'.join(
            f'{value[min(i, len(value) - 1)]:.2f}' for i in (0, 4, 11)))
    self.log('  '.join(parts))

  def _save(self):
    checkpoint.save(
        self.directory.checkpoints, self.agent.state_variables,
        dict(updates=self.updates, wall_seconds=self.metrics.wall_seconds))


def config_seed(config):
  return config.train.seed_episodes


def windows(episodes, length):
  """Cuts episodes into chunks of `length`, end to end: a batch."""
  rows = []
  for episode in episodes:
    for start in range(0, len(episode['reward']) - length + 1, length):
      rows.append({key: value[start:start + length]
                   for key, value in episode.items()})
  batch = {key: tf.constant(np.stack([row[key] for row in rows]))
           for key in rows[0]}
  batch.setdefault('mask', tf.ones([len(rows), length]))
  return batch


def main(config, logdir):
  Training(config, logdir, log=lambda line: print(line, flush=True)).run()


if __name__ == '__main__':
  launch.run(main)
