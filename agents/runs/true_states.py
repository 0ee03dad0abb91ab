"""The true states behind the episodes of a run: its task is played again.

An episode is a function of its seed and of its actions, and its seed is one of
the run's seed and of its number. So the vectors of the task that the run did
not keep come out of the task itself, and rewards say whether they are those.
Without TensorFlow.
"""

from collections.abc import Iterable

import ml_collections
import numpy as np

from worldmodels import errors
from worldmodels.agents.runs import build
from worldmodels.agents.runs import seeds
from worldmodels.agents.runs.schedule import Schedule
from worldmodels.data import rows

# Of a reward that is the same: what float32 loses.
_TOLERANCE = 1e-4

Episode = dict[str, np.ndarray]


class StateError(errors.UserError, ValueError):
  """There is no true state to be had; the message is one line."""


class Replay:
  """Plays episodes of a run again.

  Attributes:
    names: of the vectors of the task.

  Args:
    config: of the run.
    **limits: `timeout` and `start_timeout` of workers.start.

  Raises:
    UserError: its task cannot be started.
    StateError: the task has no vectors.
  """

  def __init__(self, config: ml_collections.ConfigDict, **limits: float):
    if config.task == build.NO_TASK:
      raise StateError('nothing says what task the episodes are of')
    self._seed = config.seed
    self._schedule = Schedule(config.train, config.evaluate)
    shown = config.copy_and_resolve_references()
    # No image is drawn, and no vectors asked for stand for all there are.
    shown.environment.image, shown.environment.vectors = 'none', ()
    self._worker = build.environment(shown, **limits)
    self.names = sorted(self._worker.observation_spec())

  def close(self) -> None:
    """Ends the task."""
    self._worker.close()

  def seed(self, number: int, heldout: bool) -> int:
    """Returns the seed of an episode.

    Args:
      number: of the episode.
      heldout: whether it was held out: a random one or one of an evaluation.
    """
    train = self._schedule.train
    if not heldout:
      return seeds.seed_of(self._seed, seeds.COLLECT, number)
    if number < train.seed_episodes:
      return seeds.seed_of(self._seed, seeds.HELDOUT, number)
    past = (number - train.seed_episodes) // self._schedule.evaluate.episodes
    before = train.seed_episodes + past * self._schedule.evaluate.every
    return seeds.seed_of(self._seed, seeds.EVALUATE, before, number)

  def states(self, episode: Episode, seed: int) -> Episode:
    """Returns the vectors [L, V] of the task in each row of an episode.

    Args:
      episode: by rows.py.
      seed: that it was begun with.

    Raises:
      StateError: the task does not do again what it did.
    """
    timestep = self._worker.reset(seed)
    found = [timestep.observation]
    pairs = zip(episode['action'][1:], episode['reward'][1:])
    for row, (action, reward) in enumerate(pairs, 1):
      if timestep.last():
        raise StateError(
          f'the task ends before row {row}, the episode does not'
        )
      timestep = self._worker.step(action)
      found.append(timestep.observation)
      if abs(timestep.reward - reward) > _TOLERANCE * max(1.0, abs(reward)):
        raise StateError(
          f'in row {row} the task gives a reward of {timestep.reward:.5g}, the '
          f'episode has {reward:.5g}: it is not the same task, or one of chance'
        )
    return {name: np.stack([x[name] for x in found]) for name in self.names}


def recorded(keys: Iterable[str]) -> list[str]:
  """Returns which keys of an episode are vectors."""
  return sorted(set(keys) - set(rows.RESERVED))
