"""What a model says of the returns to come: of actions, plans and the agent.

Each is of `Starts`, by step: returns of the first 1 to H steps. A state that is
imagined is drawn, and several draws are averaged: that is the expectation which
a return is compared with.
"""

from collections.abc import Callable
from typing import Any

import ml_collections
import numpy as np
import tensorflow as tf

from worldmodels import errors
from worldmodels import states
from worldmodels.agents.agent import WorldModelAgent
from worldmodels.agents.runs.starts import Starts
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import WorldModel

# What acts in a dream: (state, what it keeps, seed) -> (action, what it keeps).
_Act = Callable[[State, State, Tensor], tuple[Tensor, State]]

# Of plans; draws have the numbers from 0.
_PLANNING = -1


class ForecastError(errors.UserError, ValueError):
  """An agent that no model says anything of; the message is one line."""


def model_of(agent: WorldModelAgent) -> WorldModel:
  """Returns the model of an agent.

  Args:
    agent: of a run.

  Raises:
    ForecastError: it has none.
  """
  if agent.model is None:
    raise ForecastError(f'the agent {agent.name!r} has no world model')
  return agent.model


def plans(agent: WorldModelAgent, config: ml_collections.ConfigDict) -> bool:
  """Returns whether the planner of an agent acts, not its actor.

  Args:
    agent: of a run.
    config: of the run.

  Raises:
    ForecastError: it has no model, or neither of them acts.
  """
  model_of(agent)
  chosen = config.get('acting', 'planner')
  if chosen == 'planner' and agent.planner is not None:
    return True
  if chosen == 'planner' or not hasattr(agent, 'learner'):
    raise ForecastError(
      f'the agent {agent.name!r} has neither planner nor actor to act in its '
      'model'
    )
  return False


def replayed(
  model: WorldModel, starts: Starts, *, gamma: float, dreams: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Predicts what the actions lead to that were really taken.

  Args:
    model: a WorldModel.
    starts: with the actions.
    gamma: discount per step.
    dreams: draws of the states, which are averaged.
    seed: of them.

  Returns:
    (returns, rewards, KL in nats of the states that came from those imagined),
    each [N, H].
  """

  @tf.function(autograph=False)
  def dream(
    state: State, action: Tensor, after: State, seed: Tensor
  ) -> tuple[Tensor, Tensor, Tensor]:
    imagined = model.imagine(state, action, seed)
    distance = model.divergence(after, imagined)
    return (*_of_states(model, imagined, gamma), distance)

  given = (
    states.apply(tf.constant, starts.state),
    tf.constant(starts.action),
    states.apply(tf.constant, starts.after),
  )
  return _mean(
    dream(*given, tf.constant([seed, number])) for number in range(dreams)
  )


def planned(
  agent: WorldModelAgent,
  starts: Starts,
  *,
  gamma: float,
  dreams: int,
  seed: int,
) -> np.ndarray:
  """Predicts what fresh plans lead to: returns [N, at most H].

  Args:
    agent: with a planner.
    starts: of the plans.
    gamma: discount per step.
    dreams: draws of the states, which are averaged.
    seed: of them, and of the planner.
  """
  horizon = starts.reward.shape[1]
  state = states.apply(tf.constant, starts.state)

  @tf.function(autograph=False)
  def plan(seed: Tensor) -> Tensor:
    return agent.plan(state, tf.random.split(seed, 2)).actions[:, :horizon]

  @tf.function(autograph=False)
  def dream(action: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
    imagined = agent.model.imagine(state, action, seed)
    return _of_states(agent.model, imagined, gamma)

  action = plan(tf.constant([seed, _PLANNING]))
  found, _ = _mean(
    dream(action, tf.constant([seed, number])) for number in range(dreams)
  )
  return found


def acted(
  agent: WorldModelAgent,
  starts: Starts,
  *,
  planning: bool,
  gamma: float,
  dreams: int,
  seed: int,
) -> tuple[np.ndarray, np.ndarray]:
  """Predicts what the agent gets that acts in its model.

  Args:
    agent: who acts.
    starts: where it begins.
    planning: whether its planner acts; else its actor.
    gamma: discount per step.
    dreams: draws of the states, which are averaged.
    seed: of them, and of the planner.

  Returns:
    (returns, rewards), each [N, H].
  """
  model, act = agent.model, _planner(agent) if planning else _actor(agent)
  count, horizon = starts.reward.shape

  @tf.function(autograph=False)
  def step(state: State, kept: State, seed: Tensor) -> tuple[Any, ...]:
    seeds = tf.random.split(seed, 2)
    action, kept = act(state, kept, seeds[0])
    state = model.step(state, action, seeds[1])
    return state, kept, model.reward(state), model.discount(state)

  def dream(number: int) -> tuple[Tensor, Tensor]:
    state = states.apply(tf.constant, starts.state)
    kept = agent.planner.initial(count) if planning else {}
    steps = []
    for index in range(horizon):
      now = tf.constant([seed, number * horizon + index])
      state, kept, *given = step(state, kept, now)
      steps.append(given)
    return _sums(*(tf.stack(values, 1) for values in zip(*steps)), gamma)

  return _mean(map(dream, range(dreams)))


def _planner(agent: WorldModelAgent) -> _Act:
  def act(state: State, kept: State, seed: Tensor) -> tuple[Tensor, State]:
    seeds = tf.random.split(seed, 2)
    return agent.planner.follow(
      kept,
      tf.zeros([states.size(state)], tf.bool),  # `initial` says it begins.
      lambda **warm: agent.plan(state, seeds, **warm).actions,
    )

  return act


def _actor(agent: WorldModelAgent) -> _Act:
  def act(state: State, kept: State, seed: Tensor) -> tuple[Tensor, State]:
    features = agent.model.features(state)
    return agent.learner.act(features, seed, explore=False), kept

  return act


def _of_states(
  model: WorldModel, imagined: State, gamma: float
) -> tuple[Tensor, Tensor]:
  """Returns the returns by step of imagined states and the rewards, [N, H]."""
  return _sums(model.reward(imagined), model.discount(imagined), gamma)


def _sums(
  reward: Tensor, discount: Tensor, gamma: float
) -> tuple[Tensor, Tensor]:
  """Returns the returns of the first 1 to H steps, and the rewards."""
  weight = tf.math.cumprod(gamma * discount, 1, exclusive=True)
  return tf.cumsum(weight * reward, 1), reward


def _mean(draws: Any) -> tuple[np.ndarray, ...]:  # noqa: ANN401 (an iterable)
  """Averages tuples of tensors [N, H] over draws."""
  return tuple(np.mean(values, 0) for values in zip(*draws))
