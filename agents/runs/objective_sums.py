"""Sums an objective over real episodes: what came of planning for it.

The model filters each episode, and what the task has really shown (image,
vectors, reward, discount) takes the place of what the model would decode. So
the sum of an objective that looks at those alone owes nothing to the model.
"""

import contextlib
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from worldmodels import states
from worldmodels.agents import objectives
from worldmodels.agents.agent import WorldModelAgent
from worldmodels.world_model import WorldModel

Episode = dict[str, np.ndarray]


class Choice(Protocol):
  """An objective that a user chose."""

  name: str

  def use(self, agent: WorldModelAgent) -> objectives.Objective:
    """Makes an agent's planner climb it; returns it."""


class Sums:
  """The sums of an objective that an agent then plans for; of none, nothing.

  Attributes:
    values: the sum of each episode.

  Args:
    agent: that plans.
    choice: the objective, or None.
    log: called with a line for each episode.
  """

  def __init__(
    self,
    agent: WorldModelAgent,
    choice: Choice | None,
    log: Callable[[str], Any],
  ):
    self.values: list[float] = []
    self._model, self._choice, self._log = agent.model, choice, log
    self._objective = None if choice is None else choice.use(agent)

  def explained(self) -> contextlib.AbstractContextManager:
    """Turns the error of an objective that is not finite into one line."""
    if self._choice is None:
      return contextlib.nullcontext()
    return objectives.explained(self._choice.name)

  def add(self, episode: Episode) -> None:
    """Sums the objective over an episode {key: [L, ...]}."""
    if self._choice is None:
      return
    model = self._model
    keys = {'action', 'is_first', 'reward', 'discount', *model.spec.vectors}
    keys |= {'image'} if model.spec.image else set()
    batch = states.tensors({key: episode[key][None] for key in sorted(keys)})
    found = _total(model, self._objective, batch, self._choice.name)
    self.values.append(float(found[0]))
    self._log(
      f'episode {len(self.values)}: objective, sum of {self.values[-1]:.6g}'
    )

  def summary(self) -> dict[str, Any]:
    """Returns what is to be printed beside the returns."""
    if self._choice is None:
      return {}
    return {
      'objective': {
        'name': self._choice.name,
        'mean': float(f'{np.mean(self.values):.6g}'),
        'std': float(f'{np.std(self.values):.6g}'),
        'sums': [float(f'{value:.6g}') for value in self.values],
      }
    }


# reduce_retracing: episodes may be of any length.
@tf.function(reduce_retracing=True, autograph=False)
def _total(
  model: WorldModel,
  objective: objectives.Objective,
  batch: dict[str, tf.Tensor],
  name: str,
) -> tf.Tensor:
  posterior, _ = model.observe(batch)
  known = {
    key: value
    for key, value in batch.items()
    if key not in ('action', 'is_first')
  }
  return objectives.total(model, objective, posterior, known, name)
