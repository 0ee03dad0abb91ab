"""When a run learns, collects and evaluates: pure functions of its config."""

import dataclasses
import math

import ml_collections


@dataclasses.dataclass(frozen=True)
class Schedule:
  """The order of updates and episodes of a run.

  Attributes:
    train: group `train` of the config.
    evaluate: group `evaluate` of the config.
  """

  train: ml_collections.ConfigDict
  evaluate: ml_collections.ConfigDict

  def episodes_at(self, updates: int) -> int:
    """Returns the number of the episode that is collected after `updates`."""
    done = max(0, updates - self.train.first_updates) // self.train.updates
    return self.train.seed_episodes + done

  def updates_before(self, episode: int) -> int:
    """Returns how many updates a run has done when it collects `episode`."""
    later = episode - self.train.seed_episodes
    return self.train.first_updates + later * self.train.updates

  def episodes(self, updates: int) -> range:
    """Returns the numbers of the episodes to collect after `updates`."""
    return range(self.episodes_at(updates), self.train.episodes)

  def spent(self, env_steps: int) -> bool:
    """Returns whether no further episode is collected after `env_steps`."""
    return 0 < self.train.env_steps <= env_steps

  def late(self, seconds: float) -> bool:
    """Returns whether no further episode is collected after so long."""
    return 0 < 60 * self.train.minutes <= seconds

  def likely(
    self,
    steps: float | None,
    episodes: int = 0,
    env_steps: int = 0,
    seconds: float = 0.0,
  ) -> 'Schedule':
    """Returns the schedule with as many episodes as a run is likely to have.

    Args:
      steps: env_steps of an episode, if known.
      episodes: that there are.
      env_steps: of those.
      seconds: that the run has taken so far, if known.
    """
    ends = []
    if self.train.env_steps and steps:
      left = max(0, self.train.env_steps - env_steps)
      ends.append(episodes + math.ceil(left / steps))
    learned = episodes - self.train.seed_episodes
    if self.train.minutes and learned > 0 and seconds > 0:
      left = max(0.0, 60 * self.train.minutes - seconds)
      ends.append(episodes + math.ceil(left / (seconds / learned)))
    if not ends:
      return self
    train = self.train.copy_and_resolve_references()
    likely = max(train.seed_episodes, min(ends))
    train.episodes = min(train.episodes, likely)
    return Schedule(train, self.evaluate)

  def evaluates(self, episode: int) -> bool:
    """Returns whether the agent is evaluated before `episode`."""
    later = episode - self.train.seed_episodes
    return later % self.evaluate.every == 0

  def evaluations(self, episodes: range) -> int:
    """Returns before how many of `episodes` in a row there is one."""
    if not episodes:
      return 0
    first, end = (
      -((self.train.seed_episodes - episode) // self.evaluate.every)
      for episode in (episodes.start, episodes.stop)
    )
    return end - first

  def heldout(self, episode: int) -> range:
    """Returns the held-out numbers of the evaluation before `episode`.

    The first train.seed_episodes of the held-out episodes are random ones.
    """
    past = (episode - self.train.seed_episodes) // self.evaluate.every
    first = self.train.seed_episodes + past * self.evaluate.episodes
    return range(first, first + self.evaluate.episodes)
