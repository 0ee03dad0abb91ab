"""Plays collectors and learners through, event by event.

A number goes round: the limiter lets it pass, the head leases it, a collector
takes over the newest parameters and acts, the episode waits for room in the
object store, crosses the network, is taken by the head and written by the one
writer; then the collector gets another. The learners update as far as the
limiter lets them, and publish. cost_model.py has the assumptions, and the same
in closed form; what this adds is waiting: who waits for whom, and how full the
object store becomes.
"""

import dataclasses
import functools
import math
from collections import deque

import numpy as np

from worldmodels.agents.benchmark import queues
from worldmodels.agents.benchmark.cost_model import OBJECT_STORE
from worldmodels.agents.benchmark.cost_model import Cluster


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What a simulated cluster did, after it had settled.

  Attributes:
    steps_per_second: agent steps collected.
    updates_per_second: of the learners.
    acting: share of their time in which collectors act.
    learning: share of the time in which the learners update.
    waiting: {resource: share of the numbers' time that they wait for it}.
    stored_bytes: the most that the object store of the head held.
    age: updates behind the newest of the parameters that acted, on average,
      when their episode is taken.
  """

  steps_per_second: float
  updates_per_second: float
  acting: float
  learning: float
  waiting: dict[str, float]
  stored_bytes: float
  age: float


def simulate(
  cluster: Cluster,
  collectors: int,
  learners: int,
  episodes: int | None = None,
  spread: float = 0.1,
  seed: int = 0,
) -> Outcome:
  """Simulates a cluster.

  Args:
    cluster: its figures.
    collectors: N.
    learners: M.
    episodes: to collect, by default 400, and 8 of each collector; as many come
      before, until it has settled.
    spread: of the time of an episode, uniform, as a share of it.
    seed: of these times.
  """
  if episodes is None:
    episodes = max(8, math.ceil(400 / collectors)) * collectors
  run = _Run(cluster, collectors, learners, spread, seed)
  run.clock.run(lambda: run.episodes >= episodes)
  before = run.totals()
  run.clock.run(lambda: run.episodes >= 2 * episodes)
  return run.outcome(before)


class _Run:
  """One simulation: servers, what they have done, who goes where."""

  def __init__(
    self,
    cluster: Cluster,
    collectors: int,
    learners: int,
    spread: float,
    seed: int,
  ):
    self.cluster = cluster
    self.collectors = collectors
    self.clock = queues.Clock()
    server = functools.partial(queues.Server, self.clock)
    self.servers = {
      name: server()
      for name in ('network in', 'network out', 'head', 'directory')
    }
    kept = cluster.versions_kept * cluster.parameter_bytes
    self.room = queues.Room(self.clock, cluster.store_gb * 1e9 - kept)
    self.actors = [server() for _ in range(collectors)]
    self.episodes = self.leased = self.updates = 0
    self.learned = self.acted = self.gated = self.aged = 0.0
    self._gate = deque()  # (since, what goes on) of those it holds back.
    self._random, self._spread = np.random.default_rng(seed), spread
    # Parameters: the newest, and {node: (version, when it is there)}.
    self._version, self._published = 0, {0: 0}
    self._there = {}
    # The learners; what they send is a load, they are not held up by others.
    # So many updates are one event: a quarter of those that an episode allows.
    self._group = max(1, math.floor(cluster.updates_per_episode / 4))
    self._update_seconds = cluster.update_seconds(learners)
    self._traffic = {
      'network in': cluster.shared_bytes(learners) / cluster.bandwidth,
      'network out': (
        cluster.shared_bytes(learners) + cluster.read_bytes(learners)
      )
      / cluster.bandwidth,
    }
    self._idle = True
    for collector in range(collectors):
      for _ in range(cluster.ahead):
        self._ask(collector)

  # ------------------------------------------------------------- collectors -

  def _ask(self, collector: int) -> None:
    """Gives a collector a number, as soon as the limiter lets it pass."""
    self._gate.append(
      (self.clock.now, functools.partial(self._lease, collector))
    )
    self._open_gate()

  def _open_gate(self) -> None:
    allowed = self.updates / self.cluster.updates_per_episode
    allowed += self.cluster.lead * self.collectors
    while self._gate and self.leased + 1 <= allowed:
      since, then = self._gate.popleft()
      self.gated += self.clock.now - since
      self.leased += 1
      then()

  def _lease(self, collector: int) -> None:
    self.servers['head'].serve(
      self.cluster.lease_ms / 1e3, functools.partial(self._update, collector)
    )

  def _update(self, collector: int) -> None:
    """Acts on the newest parameters, once they are on the node."""
    node = collector // self.cluster.per_node
    version = self._version
    act = functools.partial(self._act, collector, version)
    if self._there.get(node, 0) >= version:
      act()
      return

    def arrived() -> None:
      self._there[node] = max(version, self._there.get(node, 0))
      act()

    seconds = self.cluster.parameter_bytes / self.cluster.bandwidth
    self.servers['network out'].serve(seconds, arrived)

  def _act(self, collector: int, version: int) -> None:
    factor = 1 + self._spread * self._random.uniform(-1, 1)
    seconds = self.cluster.acting_seconds * factor
    self.acted += seconds
    size = self.cluster.episode_bytes
    pass_on = functools.partial(
      self._pass, 0, functools.partial(self._taken, collector, version)
    )
    self.actors[collector].serve(
      seconds + self.cluster.load_ms / 1e3,
      lambda: self.room.take(size, pass_on),
    )

  def _pass(self, place: int, then: queues.Then) -> None:
    """Sends an episode through what is between a collector and the disk."""
    way = (
      ('network in', self.cluster.episode_bytes / self.cluster.bandwidth),
      ('head', self.cluster.take_ms / 1e3),
      ('directory', self.cluster.append_ms / 1e3),
    )
    if place == len(way):
      then()
      return
    name, seconds = way[place]
    self.servers[name].serve(
      seconds, functools.partial(self._pass, place + 1, then)
    )

  def _taken(self, collector: int, version: int) -> None:
    self.room.give(self.cluster.episode_bytes)
    self.episodes += 1
    self.aged += self.updates - self._published[version]
    self._ask(collector)
    self._learn()

  # --------------------------------------------------------------- learners -

  def _learn(self) -> None:
    """Begins an update, if there are steps enough for it."""
    allowed = (self.episodes + 1) * self.cluster.updates_per_episode
    if not self._idle or self.updates + self._group > allowed:
      return
    self._idle = False
    seconds = self._group * self._update_seconds
    self.learned += seconds
    for name, load in self._traffic.items():
      self.servers[name].load(self._group * load)
    self.clock.at(self.clock.now + seconds, self._learned)

  def _learned(self) -> None:
    self.updates += self._group
    versions = math.floor(self.updates / self.cluster.updates_per_version)
    self._open_gate()
    if versions > self._version:
      seconds = self.cluster.publish_ms / 1e3
      self.learned += seconds
      self.clock.at(
        self.clock.now + seconds, functools.partial(self._publish, versions)
      )
    else:
      self._rest()

  def _publish(self, version: int) -> None:
    self._version = version
    self._published[version] = self.updates
    self._rest()

  def _rest(self) -> None:
    self._idle = True
    self._learn()

  # ----------------------------------------------------------------- result -

  def totals(self) -> dict[str, float]:
    """Returns the sums so far."""
    sums = {name: server.waited for name, server in self.servers.items()}
    sums[OBJECT_STORE] = self.room.waited
    # Those that the limiter holds back now have waited, too.
    held = sum(self.clock.now - since for since, _ in self._gate)
    sums['limiter'] = self.gated + held
    return dict(
      **sums,
      now=self.clock.now,
      episodes=self.episodes,
      updates=self.updates,
      learned=self.learned,
      acted=self.acted,
      aged=self.aged,
    )

  def outcome(self, before: dict[str, float]) -> Outcome:
    """Returns what happened since `before`."""
    done = {key: value - before[key] for key, value in self.totals().items()}
    seconds, episodes = done.pop('now'), done.pop('episodes')
    updates, learned = done.pop('updates'), done.pop('learned')
    acted, aged = done.pop('acted'), done.pop('aged')
    numbers = self.collectors * self.cluster.ahead
    kept = self.cluster.versions_kept * self.cluster.parameter_bytes
    return Outcome(
      steps_per_second=episodes * self.cluster.episode_steps / seconds,
      updates_per_second=updates / seconds,
      acting=acted / (seconds * self.collectors),
      learning=learned / seconds,
      waiting={k: v / (seconds * numbers) for k, v in done.items()},
      stored_bytes=self.room.most + kept,
      age=aged / episodes,
    )
