"""The loop: PlaNet's algorithm 1 (Hafner et al., 2019), which Dreamer shares.

What happens at each update (see `learning`) and in each episode is a function
of the seed, of the number of the update or episode and of the episodes before
it. So a killed run comes out where it would have, bit for bit on one machine
(if store.capacity drops nothing).
"""

import concurrent.futures
import time

import keras
import ml_collections
import numpy as np

from worldmodels.agents.runs import build
from worldmodels.agents.runs import evaluation
from worldmodels.agents.runs import restore
from worldmodels.agents.runs import rollouts
from worldmodels.agents.runs import selection
from worldmodels.agents.runs import team
from worldmodels.agents.runs import terminal
from worldmodels.agents.runs.experience import Experience
from worldmodels.agents.runs.learning import Batch
from worldmodels.agents.runs.learning import Learning
from worldmodels.agents.runs.learning import Values
from worldmodels.agents.runs.metrics import Metrics
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.agents.runs.schedule import Schedule
from worldmodels.data import workers

# Counters {env_steps, episodes, updates}, and what was measured then.
Evaluated = tuple[dict[str, int], Values]


class Training:
  """One run: the store, the agent, and the order in which they meet.

  Args:
    config: as configs/*.py make it.
    directory: of the run, claimed.
    environment: a worker.
    poison_from: update from which on all rewards are NaN, for tests.
    learners: who do the updates.
  """

  def __init__(
    self,
    config: ml_collections.ConfigDict,
    directory: RunDirectory,
    environment: workers.Worker,
    poison_from: int | None = None,
    learners: team.Alone | None = None,
  ):
    self.config = config
    self.directory = directory
    self.environment = environment
    self.schedule = Schedule(config.train, config.evaluate)
    self.terminal = terminal.Terminal()
    self._poison_from = poison_from
    self.team = learners or team.Alone()
    self._check_end()
    # Who learns, and who acts: on parameters that stand still, or averages.
    keras.utils.set_random_seed(config.seed)  # Of the first parameters.
    spec = build.spec_of(environment)
    self.team.lead(config, spec)
    with self.team.scope():
      self.agent = self.actor = build.learning_agent(config, spec)
    if self.acts_apart or self.agent.acts_on_averages:
      self.actor = build.agent(config, spec)
    # What there is already.
    directory.start(config, spec)  # From here on it is a run.
    self.experience = Experience(
      *(config, directory, spec, self.actor, environment, self.terminal.line),
      self.collectors(),
      self.terminal.acting,
    )
    self.learning = Learning(
      *(config, directory, self.agent, self.terminal.line),
      on_update=self.updated,
      advice=f'look at the losses in {directory.metrics}, lower optimizer.rate',
      change=self._poison,
      learners=self.team,
    )
    there = self.experience.store.own_episodes
    if not self.learning.begun and there > config.train.seed_episodes:
      raise RunError(
        f'{directory.episodes} holds {there} episodes but '
        f'{directory.checkpoints} no checkpoint: nothing to continue from; '
        'give another --logdir'
      )
    self._acting_updates = self.learning.updates
    self.episodes = self.schedule.episodes_at(self.learning.updates)
    spent = self.late or self.experience.spent(self.episodes)
    self.metrics = Metrics(
      directory,
      self.episodes if spent else config.train.episodes,
      self.learning.updates,
      self.learning.wall_seconds,
      self.terminal.line,
      config,
    )

  def run(self) -> None:
    """Trains to the end; evaluates; says where everything is."""
    self.terminal.start(
      self.config,
      self.environment,
      self.experience.store,
      self.agent,
      self.team.devices(),
      self.learning.updates,
    )
    try:
      self.begin()
      self.terminal.building()
      self.train()
      self.team.end()
      values = self.metrics.end or self.last_evaluation()
    finally:
      self.terminal.close()
      self.environment.close()
    self.terminal.end(self.directory.path, values, self.metrics.wall_seconds)

  @property
  def late(self) -> bool:
    """Whether the budget of minutes is spent, as the checkpoint counts it.

    Who goes on from that decides alike.
    """
    return self.schedule.late(self.learning.wall_seconds)

  @property
  def acts_apart(self) -> bool:
    """Whether who acts has parameters of its own."""
    return self.config.train.overlap

  def collectors(
    self,
  ) -> tuple[rollouts.Collector, rollouts.Collector] | None:
    """Returns who collects where that is not done here; see Experience."""
    return None

  def updated(self, updates: int) -> None:
    """Is called after each update with how many there are."""
    self.terminal.update(updates)

  def train(self) -> None:
    """Learns and collects in turn until the episodes or a budget end."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
      for episode in self.experience.ahead(self.learning.updates):
        if self.late:
          return
        self.report(episode + 1, *self.learn_and_collect(episode, pool))
        self.save()
        self.episodes = episode + 1

  def learn_and_collect(
    self, episode: int, pool: concurrent.futures.Executor
  ) -> tuple[Values, Evaluated | None]:
    """Learns from the episodes before `episode` and collects that one.

    With train.overlap both at once: the episode is then collected with the
    parameters from before these updates, where PlaNet takes those from after.
    """
    if self.config.train.overlap:
      self._act_as_learned()
      collected = pool.submit(self.collect, episode)
      try:
        learned = self.learn(episode)
        values, evaluated = collected.result()
      except BaseException:  # Ctrl-C: else the episode would be waited for.
        self.experience.stop(collected)
        raise
    else:
      learned = self.learn(episode)
      self._act_as_learned()
      values, evaluated = self.collect(episode)
    return learned | values, evaluated

  def begin(self) -> None:
    """Collects random episodes, and saves the first parameters.

    Episodes that were collected with them could not be continued from without.
    """
    self.experience.collect_random(self.terminal.random)
    if not self.learning.begun:
      self.agent.fit_statistics(self.experience.random_images())
      self.save()

  def learn(self, episode: int) -> Values:
    """Updates until `episode` may be collected; returns mean metrics."""
    store = self.experience.store
    return self.learning.learn(
      store,
      until=self.schedule.updates_before(episode + 1),
      # A capacity of one episode may have left that one alone, before a kill.
      limit=max(1, store.before(episode)),
    )

  def collect(self, episode: int) -> tuple[Values, Evaluated | None]:
    """Evaluates if it is time to, then collects `episode`."""
    evaluated = None
    if self.schedule.evaluates(episode):
      evaluated = self.evaluate(episode)
    start = time.monotonic()
    values = {'return': self.experience.collect(episode)}
    values['acting_seconds'] = time.monotonic() - start
    return values, evaluated

  def evaluate(self, episode: int) -> Evaluated:
    """Collects held-out episodes without noise, and measures them."""
    start, heldout = time.monotonic(), self.experience.heldout
    positions, returns = self.experience.collect_heldout(episode)
    return self._counters(episode, self._acting_updates), dict(
      evaluation_return=float(np.mean(returns)),
      evaluation_seconds=time.monotonic() - start,
      **evaluation.measure(self.actor, heldout, self.config, positions),
    )

  def last_evaluation(self) -> Values:
    """Runs and reports the episodes of the last evaluation."""
    evaluate, heldout = self.config.evaluate, self.experience.heldout
    self._act_as_learned()
    returns = self.experience.last_returns(
      lambda done: self.terminal.note(
        f'last evaluation, episode {done} of {evaluate.last_episodes}'
      )
    )
    random = self.config.train.seed_episodes
    newest = selection.places_of_policy(heldout, random)[-evaluate.episodes :]
    values = dict(
      last_evaluation_mean=float(np.mean(returns)),
      last_evaluation_std=float(np.std(returns)),
      last_evaluation_returns=returns,
      random_mean=float(np.mean(self.experience.random_returns())),
      **evaluation.measure(self.actor, heldout, self.config, newest),
    )
    self.report(self.episodes, values)
    self.metrics.sync()
    return values

  def report(
    self,
    episodes: int,
    values: Values,
    evaluated: Evaluated | None = None,
    updates: int | None = None,
  ) -> None:
    """Writes figures and films after so many episodes, and prints a line.

    Args:
      episodes: that there are now.
      values: of the newest one and of the updates.
      evaluated: counters and values of an evaluation before it.
      updates: that there were then; by default those there are now.
    """
    if evaluated is not None:
      self.metrics.write(*evaluated)
    updates = self.learning.updates if updates is None else updates
    counters = self._counters(episodes, updates)
    self.metrics.write(counters, values)
    shown = values if evaluated is None else values | evaluated[1]
    self.terminal.episode(counters, shown, self.metrics.wall_seconds)

  def save(self) -> None:
    """Writes a checkpoint, once the figures that it counts are on disk."""
    self.learning.save(self.metrics)

  def _act_as_learned(self) -> None:
    """Gives the actor what the agent has learned."""
    self.actor.copy_from(self.agent)
    self._acting_updates = self.learning.updates

  def _counters(self, episodes: int, updates: int) -> dict[str, int]:
    return dict(
      env_steps=self.experience.store.env_steps_before(episodes),
      episodes=episodes,
      updates=updates,
    )

  def _poison(self, batch: Batch, update: int) -> Batch:
    """Makes rewards NaN from the update on that a test asks for."""
    if self._poison_from is not None and update >= self._poison_from:
      batch['reward'] = batch['reward'] * np.nan
    return batch

  def _check_end(self) -> None:
    """Raises RunError if the run is past the end that is asked for."""
    restore.check_end(self.directory, self.schedule)
