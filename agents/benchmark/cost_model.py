"""What a cluster of collectors and learners can do, and what limits it.

In closed form, from figures of one machine and assumptions about the others;
cluster_simulation.py plays the same through, event by event.

Assumed, beside the numbers below:
- Every collector is as fast as the measured one, on a core of its own.
- What goes through the head one at a time: the network, in each direction; the
  process that leases numbers and takes episodes; the writer of the directory.
  They work side by side.
- Parameters go to each node once a version, from the head alone, and a node
  asks for them when one of its collectors begins an episode. (Ray may copy them
  from node to node: the head then sends less.)
- A batch stays as large with more learners: each takes an equal share of what
  of an update can be shared, then gradients are summed in a ring.
- All but one of the learners read their share of a batch over the network.
- Updates follow steps at a fixed ratio; nobody is slow, and nothing fails.
"""

import dataclasses
import math

# What may limit a cluster, in words.
RESOURCES = {
  'collectors': 'collectors: more of them collect more',
  'limiter': 'limiter: the learners cannot use more',
  'network in': "head's network, episodes in",
  'network out': "head's network, parameters and batches out",
  'head': 'head: numbers leased and episodes taken',
  'directory': 'directory of episodes: its one writer',
}
OBJECT_STORE = 'object store'


@dataclasses.dataclass(frozen=True)
class Cluster:
  """Figures of one machine, and assumptions about a cluster of them.

  The defaults are those of docs/cluster_figures.md.

  Attributes:
    steps_per_second: agent steps of a collector, which acts.
    episode_steps: agent steps of an episode.
    episode_bytes: of an episode as it is sent.
    parameter_bytes: of a version of the parameters as it is sent.
    lease_ms: of the head, to hand out a number and hear of its end.
    take_ms: of the head, to take an episode out of the object store.
    append_ms: of the writer, to write an episode and note it in the index.
    publish_ms: of the learner, to put a version into the object store.
    load_ms: of a collector, to take a version over.
    update_ms: of one learner.
    fixed_ms: part of it that stays however small a share of the batch is.
    all_reduce_ms: of two learners on one machine, to sum their gradients.
    gradient_bytes: that are summed.
    batch_bytes: of a batch.
    updates_per_step: ratio that the limiter holds.
    updates_per_version: after how many updates parameters are sent.
    lead: episodes that collecting may be ahead of the updates, those under way
      included, for each collector.
    network_gbit: of the head, per second and direction.
    store_gb: object store of the head.
    versions_kept: of the parameters in the object store.
    ahead: numbers that a collector has at a time.
    per_node: collectors on a node.
  """

  steps_per_second: float = 25.0
  episode_steps: int = 125
  episode_bytes: float = 1.55e6
  parameter_bytes: float = 1e6
  lease_ms: float = 1.0
  take_ms: float = 2.0
  append_ms: float = 5.0
  publish_ms: float = 2.0
  load_ms: float = 2.0
  update_ms: float = 75.0
  fixed_ms: float = 25.0
  all_reduce_ms: float = 6.0
  gradient_bytes: float = 1e6
  batch_bytes: float = 3.1e6
  updates_per_step: float = 1.6
  updates_per_version: float = 200.0
  lead: float = 1.0
  network_gbit: float = 10.0
  store_gb: float = 8.0
  versions_kept: int = 2
  ahead: int = 1
  per_node: int = 8

  @property
  def bandwidth(self) -> float:
    """Returns bytes per second of the head, in each direction."""
    return self.network_gbit * 1e9 / 8

  @property
  def acting_seconds(self) -> float:
    """Returns the seconds in which a collector collects an episode."""
    return self.episode_steps / self.steps_per_second

  @property
  def updates_per_episode(self) -> float:
    """Returns how many updates an episode allows."""
    return self.updates_per_step * self.episode_steps

  def nodes(self, collectors: int) -> int:
    """Returns how many nodes so many collectors are on."""
    return math.ceil(collectors / self.per_node)

  def shared_bytes(self, learners: int) -> float:
    """Returns what a learner sends to sum gradients in a ring, each update."""
    return 2 * (learners - 1) / learners * self.gradient_bytes

  def read_bytes(self, learners: int) -> float:
    """Returns what the head sends of a batch to other learners."""
    return (learners - 1) / learners * self.batch_bytes

  def update_seconds(self, learners: int) -> float:
    """Returns the seconds of an update that so many learners share.

    The measured sum of two is all latency: two messages in a row on one
    machine. In a ring of M there are 2 (M - 1), and then there is the network.
    """
    shared = (self.update_ms - self.fixed_ms) / learners
    latency = self.all_reduce_ms * (learners - 1)
    seconds = (self.fixed_ms + shared + latency) / 1e3
    return seconds + self.shared_bytes(learners) / self.bandwidth

  def best_learners(self, most: int = 64) -> int:
    """Returns the number of learners, of at most so many, that is fastest."""
    return min(range(1, most + 1), key=self.update_seconds)

  def version_seconds(self, learners: int) -> float:
    """Returns the seconds from one version to the next, of busy learners."""
    updates = self.updates_per_version * self.update_seconds(learners)
    return updates + self.publish_ms / 1e3

  def pulls_per_episode(self, collectors: int) -> float:
    """Returns how often parameters leave the head, for each episode."""
    versions = self.updates_per_episode / self.updates_per_version
    return min(1.0, versions * self.nodes(collectors))

  def limits(self, collectors: int, learners: int) -> dict[str, float]:
    """Returns the agent steps per second that each resource allows."""
    # Of one number: everybody whom it passes, and the collector alone.
    load = self.load_ms / 1e3
    passing = (self.lease_ms + self.take_ms + self.append_ms) / 1e3
    passing += self.episode_bytes / self.bandwidth
    acting = self.acting_seconds + load
    pulls = self.pulls_per_episode(collectors)
    out = pulls * self.parameter_bytes + self.updates_per_episode * (
      self.read_bytes(learners) + self.shared_bytes(learners)
    )
    into = self.episode_bytes
    into += self.updates_per_episode * self.shared_bytes(learners)
    fastest = self.updates_per_version / self.version_seconds(learners)
    cycle = acting + passing + pulls * self.parameter_bytes / self.bandwidth
    numbers = min(self.ahead, self.lead)  # of a collector, under way
    episodes = {
      'collectors': collectors * min(1 / acting, numbers / cycle),
      'limiter': fastest / self.updates_per_episode,
      'network in': self.bandwidth / into,
      'network out': self.bandwidth / out if out else math.inf,
      'head': _rate(self.lease_ms + self.take_ms),
      'directory': _rate(self.append_ms),
    }
    return {key: rate * self.episode_steps for key, rate in episodes.items()}

  def bound(self, collectors: int, learners: int) -> tuple[str, float]:
    """Returns (what limits, the agent steps per second that are possible)."""
    limits = self.limits(collectors, learners)
    name = min(limits, key=limits.get)
    return name, limits[name]

  def breaking_point(
    self, resource: str, learners: int, most: int = 10**6
  ) -> int | None:
    """Returns how many collectors it takes until a resource limits them.

    Args:
      resource: of RESOURCES, or OBJECT_STORE.
      learners: M.
      most: collectors to look at; None if it takes more.
    """
    if not self._breaks(resource, most, learners):
      return None
    low, high = 0, most  # It is enough at `low`, and not at `high`.
    while high - low > 1:
      middle = (low + high) // 2
      if self._breaks(resource, middle, learners):
        high = middle
      else:
        low = middle
    return high

  def stored_bytes(self, collectors: int) -> float:
    """Returns the most that the object store of the head is asked to hold.

    That is when all that was leased has arrived and the writer stands still.
    """
    episodes = collectors * self.ahead * self.episode_bytes
    return episodes + self.versions_kept * self.parameter_bytes

  def _breaks(self, resource: str, collectors: int, learners: int) -> bool:
    if resource == OBJECT_STORE:
      return self.stored_bytes(collectors) > self.store_gb * 1e9
    limits = self.limits(collectors, learners)
    return limits[resource] < limits['collectors']


def _rate(milliseconds: float) -> float:
  return 1e3 / milliseconds if milliseconds else math.inf
