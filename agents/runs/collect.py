"""Collects episodes of an agent in the real environment."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from worldmodels import states
from worldmodels.agents.runs import rollouts
from worldmodels.agents.runs import seeds
from worldmodels.data import workers

Episode = rollouts.Episode
seed_of = seeds.seed_of


class Actor(Protocol):
  """The part of an agent that acting needs."""

  def initial(self, count: int) -> states.State:
    """Returns the state of `policy` before the first step."""

  def policy(
    self,
    observation: dict[str, tf.Tensor],
    state: states.State,
    explore: tf.Tensor,
    seed: tf.Tensor,
  ) -> tuple[tf.Tensor, states.State]:
    """Returns (action [B, A], state)."""


class Collector(rollouts.Collector):
  """Collects episodes of an agent by number, see the base class.

  Args:
    agent: who acts.
    environments: workers; as many episodes are collected at a time.
    log: called with a line for each failure.
    on_step: called with the number of each step.
  """

  def __init__(
    self,
    agent: Actor,
    environments: Sequence[workers.Worker],
    log: Callable[[str], Any],
    on_step: Callable[[int], Any] = lambda step: None,
  ):
    acts = functools.partial(actions_of, agent)
    super().__init__(acts, environments, log, on_step)


def actions_of(
  agent: Actor, count: int, explore: bool, seed: int
) -> rollouts.Act:
  """Makes the function `act` of `rollouts` from an agent's policy.

  Args:
    agent: who acts.
    count: B, episodes at a time.
    explore: whether it adds exploration.
    seed: of its random numbers.
  """
  state = agent.initial(count)
  explore = tf.constant(explore)

  def act(observation: Episode, is_first: np.ndarray, step: int) -> np.ndarray:
    nonlocal state
    action, state = agent.policy(
      states.tensors(dict(observation, is_first=is_first)),
      state,
      explore,
      tf.constant([seed, step], tf.int32),
    )
    return action.numpy()

  return act
