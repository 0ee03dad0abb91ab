"""Worlds of a few states, whose values are solved for and not estimated.

They are what audits of models are checked against: truth and model are both
tables, so the true gap between their values stands beside the bounds of
simulation_lemma.py. `dyna_maze` is the maze of Sutton and Barto (2018),
Reinforcement Learning: An Introduction, figure 8.2.
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from worldmodels import errors
from worldmodels import simulation_lemma

Array = npt.NDArray[np.float64]

# Of the maze: rows, columns, walls, start and goal, as (row, column).
_ROWS, _COLUMNS = 6, 9
_WALLS = {(1, 2), (2, 2), (3, 2), (0, 7), (1, 7), (2, 7), (4, 5)}
_START, _GOAL = (2, 0), (0, 8)
_MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))

_SUM = 1e-9  # by which probabilities may miss 1


@dataclasses.dataclass(frozen=True)
class World:
  """A table of what each action does in each state.

  Attributes:
    transition: [S, A, S], probabilities of the next state.
    reward: [S, A], expected.
    gamma: discount per step, below 1.
    start: number of the state that episodes start in.

  Raises:
    OptionError: of one that is no such table.
  """

  transition: Array
  reward: Array
  gamma: float
  start: int = 0

  def __post_init__(self):
    shape = self.transition.shape
    if len(shape) != 3 or shape[0] != shape[2] or not shape[0] * shape[1]:
      raise errors.OptionError(
        'transition', f'has shape {list(shape)}; it is [S, A, S]'
      )
    if self.reward.shape != shape[:2]:
      raise errors.OptionError(
        'reward',
        f'has shape {list(self.reward.shape)}; it is {list(shape[:2])}',
      )
    if not np.isfinite(self.reward).all():
      raise errors.OptionError('reward', 'has numbers that are not finite')
    sums = self.transition.sum(-1)
    if not (self.transition.min() >= 0 and np.abs(sums - 1).max() <= _SUM):
      raise errors.OptionError(
        'transition', 'has rows that are no probabilities: they add up to 1'
      )
    if not 0 <= self.gamma < 1:
      raise errors.OptionError('gamma', f'is {self.gamma}; it is in [0, 1)')
    if not 0 <= self.start < shape[0]:
      raise errors.OptionError(
        'start', f'is {self.start}; there are {shape[0]} states'
      )

  @property
  def width(self) -> float:
    """Width of the interval that rewards lie in."""
    return float(np.ptp(self.reward))

  def value(self, policy: npt.ArrayLike) -> Array:
    """Returns the value of a policy in every state, [S].

    Args:
      policy: the action of each state, int [S].
    """
    states = np.arange(len(self.reward))
    policy = np.asarray(policy)
    step = self.transition[states, policy]
    return np.linalg.solve(
      np.eye(len(states)) - self.gamma * step, self.reward[states, policy]
    )

  def best(self) -> tuple[npt.NDArray[np.int64], Array]:
    """Returns the best policy [S], the first of equals, and its value [S]."""
    policy = np.zeros(len(self.reward), np.int64)
    while True:  # Policy iteration, which ends: no policy comes twice.
      value = self.value(policy)
      worth = self.reward + self.gamma * self.transition @ value
      better = worth.max(-1) > value + 1e-10
      if not better.any():
        return policy, value
      policy = np.where(better, worth.argmax(-1), policy)

  def blurred(self, share: float) -> 'World':
    """Returns a model that goes anywhere with probability `share`.

    Args:
      share: from 0 to 1, by which each next state is mixed with all states.
    """
    if not 0 <= share <= 1:
      raise errors.OptionError('share', f'is {share}; it is from 0 to 1')
    mixed = (1 - share) * self.transition + share / len(self.reward)
    return dataclasses.replace(self, transition=mixed)


def audit(world: World, model: World) -> dict[str, Any]:
  """Compares the value that a model predicts with the true one, exactly.

  The policy is the best one of the world.

  Args:
    world: the truth.
    model: of it, of the same states and actions.

  Returns:
    transition_error: the largest total variation of a step;
    reward_error: the largest of an expected reward;
    gap: the largest error of a value; start_gap: that of the start;
    classic, tight: bounds of the gap by those errors;
    largest: what rewards allow at all;
    regret: what the model's best policy loses in the world, at most.
  """
  if model.transition.shape != world.transition.shape:
    raise errors.OptionError(
      'model',
      f'has shape {list(model.transition.shape)}; the world has '
      f'{list(world.transition.shape)}',
    )
  if model.gamma != world.gamma:
    raise errors.OptionError(
      'model', f'has gamma {model.gamma}; the world has {world.gamma}'
    )
  policy, value = world.best()
  gap = np.abs(model.value(policy) - value)
  apart = 0.5 * np.abs(model.transition - world.transition).sum(-1).max()
  reward = np.abs(model.reward - world.reward).max()
  both = np.concatenate([world.reward.ravel(), model.reward.ravel()])
  width = float(np.ptp(both))
  given = dict(reward=float(reward), width=width)
  chosen, _ = model.best()
  return dict(
    transition_error=float(apart),
    reward_error=float(reward),
    gap=float(gap.max()),
    start_gap=float(gap[world.start]),
    classic=simulation_lemma.classic(world.gamma, float(apart), **given),
    tight=simulation_lemma.tight(world.gamma, float(apart), **given),
    largest=width / (1 - world.gamma),
    regret=float((value - world.value(chosen)).max()),
  )


def dyna_maze(gamma: float = 0.95) -> World:
  """Returns the maze: 47 states, four moves, 1 for the step into the goal.

  What runs against a wall stays. The goal is never left, and nothing more is
  to be had there.

  Args:
    gamma: discount per step.
  """
  cells = [
    (row, column)
    for row in range(_ROWS)
    for column in range(_COLUMNS)
    if (row, column) not in _WALLS
  ]
  number = {cell: index for index, cell in enumerate(cells)}
  transition = np.zeros([len(cells), len(_MOVES), len(cells)])
  reward = np.zeros([len(cells), len(_MOVES)])
  for cell, index in number.items():
    for move, (down, right) in enumerate(_MOVES):
      after = (cell[0] + down, cell[1] + right)
      after = cell if cell == _GOAL or after not in number else after
      transition[index, move, number[after]] = 1.0
      reward[index, move] = float(after == _GOAL != cell)
  return World(transition, reward, gamma, number[_START])
