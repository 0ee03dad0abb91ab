"""Problem and Plan: the input and the output of a planner.

A problem is a model at states, with an objective. Planners either score whole
sequences of actions (CEM, gradient descent) or take single steps (tree search).
"""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from worldmodels import common_draws
from worldmodels import cores
from worldmodels import known_model
from worldmodels import states
from worldmodels.known_model import KnownModel
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.trajectories import Sampling
from worldmodels.world_model import WorldModel

# Fewest candidates per chain: their steps are a loop, and while one core waits
# for its next operation another can have a loop of its own. Shorter chains gain
# while nothing else runs, and lose beside a learner.
LEAST_CHAIN = 100


class Plan(NamedTuple):
  """Actions that a planner chose for states [B].

  Attributes:
    actions: [B, H, A].
    value: what the planner expects of them, [B]; None if it does not say.
    policy: share of each first choice in a search, [B, A]; None without one.
  """

  actions: Tensor
  value: Tensor | None = None
  policy: Tensor | None = None


class Problem:
  """A model at states [B, ...], with an objective.

  Attributes:
    actions: A.
    discrete: whether actions are one-hot; else they are within [-1, 1].
    horizon: H, agent_steps.
    state: where plans start, [B, ...]; of several particles [B, P, ...].
    start: actions [B, H, A] to start from; zeros if there are none.
    proposals: further candidates [B, M, H, A]; None for none.

  Args:
    model: a WorldModel, or what offers spec, step, imagine, reward and
      discount of it; for some samplings also particles and spread.
    state: [B, ...].
    horizon: H, static.
    gamma: discount per step beside that of the model.
    seed: int32 [2] to draw the states of `score`; None for the means.
    objective: function of states [...] -> reward [...]; None for that of the
      model.
    value: function of states [N, ...] -> [N], what is to be had after the last
      step (TD-MPC2's terminal value); None for nothing.
    prior: function of states [N, ...] -> [N, A], logits of discrete actions,
      means of others; None for zeros.
    start: see Attributes.
    proposals: see Attributes.
    sampling: by how many particles a plan is judged, and how.
  """

  def __init__(
    self,
    model: WorldModel | KnownModel,
    state: State,
    *,
    horizon: int,
    gamma: float = 1.0,
    seed: Tensor | None = None,
    objective: Callable[[State], Tensor] | None = None,
    value: Callable[[State], Tensor] | None = None,
    prior: Callable[[State], Tensor] | None = None,
    start: Tensor | None = None,
    proposals: Tensor | None = None,
    sampling: Sampling = Sampling(),  # noqa: B008 (it is frozen)
  ):
    self.actions = model.spec.actions
    self.discrete = model.spec.discrete
    self.horizon = horizon
    self._origin, self._sampling = state, sampling
    if start is None:
      start = tf.zeros([states.size(state), horizon, self.actions])
    self.start = start
    self.proposals = proposals
    self._model, self._gamma, self._seed = model, gamma, seed
    self.state = self._joined(sampling.start(model, state))
    self._objective = objective or model.reward
    self._value, self._prior = value, prior

  @classmethod
  def of_step(
    cls,
    step: known_model.Step,
    state: Any,  # noqa: ANN401 (any nest of tensors)
    *,
    actions: int,
    horizon: int,
    discrete: bool = False,
    objective: Callable[[Any], Tensor] | None = None,
    value: Callable[[Any], Tensor] | None = None,
    prior: Callable[[Any], Tensor] | None = None,
    **options: Any,
  ) -> 'Problem':
    """Makes a problem of a step of the user's own, without a learned model.

    Args:
      step: function of (state [N, ...], action [N, A]) that returns (state
        [N, ...], reward [N], discount [N] of what comes after).
      state: where plans start, any nest of tensors [B, ...].
      actions: A.
      horizon: H, static.
      discrete: whether actions are one-hot; else they are in [-1, 1].
      objective: as of Problem, but of the user's states.
      value: the same.
      prior: the same.
      **options: gamma, start and proposals of Problem.

    Raises:
      StepError: of what `step` returns, by whoever takes a step.
    """
    model = KnownModel(step, actions=actions, discrete=discrete)
    return cls(
      model,
      model.start(state),
      horizon=horizon,
      objective=known_model.inside(objective),
      value=known_model.inside(value),
      prior=known_model.inside(prior),
      **options,
    )

  def score(self, actions: Tensor, draw: Tensor | None = None) -> Tensor:
    """Maps candidates [B, N, H, A] -> their imagined returns [B, N].

    The sum of the expected rewards of the states that each action sequence is
    imagined to lead to (PlaNet, algorithm 2), each weighted by the probability
    that the episode has not ended before it, where the model has a discount
    head; and the value of the last state. It has a gradient. With a sampling it
    is what that makes of the returns of its particles.

    Args:
      actions: [B, N, H, A].
      draw: number, int32, of another draw of the states where they are drawn:
        with that of the refit each refit meets other noise (PlaNet's code).
        None always has the same.
    """
    seed, sampling = self._seed, self._sampling
    if draw is not None:
      sampling = sampling.drawn(draw)
      if seed is not None:
        seed = tf.random.experimental.stateless_fold_in(seed, draw)
    # In chains of candidates side by side.
    parts = cores.split(actions.shape[1], LEAST_CHAIN)
    if len(parts) < 2:
      return self._score_chain(actions, seed, sampling)
    seeds, samplings = [seed] * len(parts), [sampling] * len(parts)
    if not sampling.common:
      samplings = [sampling.drawn(number) for number in range(len(parts))]
      if seed is not None:
        seeds = tf.unstack(tf.random.split(seed, len(parts)), len(parts))
    chains = zip(tf.split(actions, parts, 1), seeds, samplings)
    return tf.concat([self._score_chain(*chain) for chain in chains], 1)

  def step(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> tuple[State, Tensor, Tensor]:
    """Takes a single step.

    Of several particles rewards and discounts are means; optimism and pessimism
    count at every step, where `score` counts them once for the whole return.

    Args:
      state: [N, ...], or as `self.state`.
      action: [N, A].
      seed: int32 [2] for a draw; None for the mean. With ts1 it deals members
        as well: another one for each step, or they stay with theirs.

    Returns:
      (state [N, ...], reward [N], discount [N] of what comes after).
    """
    sampling = self._sampling
    if seed is not None:
      sampling = dataclasses.replace(sampling, seed=seed)
    state = sampling.step(self._model, self._apart(state), action, seed)
    reward = sampling.reward(self._model, state, self._objective(state))
    discount = self._gamma * self._model.discount(state)
    return (
      self._joined(state),
      sampling.worth(reward),
      tf.reduce_mean(sampling.split(discount), 1),
    )

  def value(self, state: State) -> Tensor:
    """Returns the expected return from states [N, ...] on: [N]."""
    if self._value is None:
      return tf.zeros([states.size(state)])
    found = self._value(self._apart(state))
    return tf.reduce_mean(self._sampling.split(found), 1)

  def prior(self, state: State) -> Tensor:
    """Returns the prior of a policy in states [N, ...]: [N, A].

    Logits of discrete actions, the mean of others; zeros without a policy.
    """
    if self._prior is None:
      return tf.zeros([states.size(state), self.actions])
    found = self._prior(self._apart(state))
    return tf.reduce_mean(self._sampling.split(found), 1)

  def _joined(self, state: State) -> State:
    """Puts the particles of one state side by side: [N P, ...] -> [N, P, ...].

    One particle has no axis.
    """
    if self._sampling.particles == 1:
      return state
    return self._sampling.split(state)

  def _apart(self, state: State) -> State:
    """Undoes `_joined`."""
    return state if self._sampling.particles == 1 else states.flatten(state)

  def _score_chain(
    self, actions: Tensor, seed: Tensor | None, sampling: Sampling
  ) -> Tensor:
    batch, count = tf.shape(actions)[0], tf.shape(actions)[1]
    horizon, size = actions.shape[2], actions.shape[3]
    alike = contextlib.nullcontext()
    if sampling.common:
      alike = common_draws.among(count, sampling.particles)
    # Every candidate gets a state of its own.
    with alike:
      found = sampling.imagine(
        self._model,
        states.repeat(self._origin, count),
        tf.reshape(actions, [batch * count, horizon, size]),
        seed,
      )
    # Rewards while the episode goes on, then the value of where it is.
    reward = sampling.reward(self._model, found, self._objective(found))
    after = tf.math.cumprod(self._gamma * self._model.discount(found), 1)
    alive = tf.concat([tf.ones_like(after[:, :1]), after[:, :-1]], 1)
    returns = tf.reduce_sum(alive * reward, 1)
    if self._value is not None:
      returns += after[:, -1] * self._value(states.at(found, -1))
    return tf.reshape(sampling.worth(returns), [batch, count])
