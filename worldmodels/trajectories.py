"""Trajectory sampling: what a planner makes of a model that is not sure.

Chua et al. (2018), Deep Reinforcement Learning in a Handful of Trials using
Probabilistic Dynamics Models (PETS), section 5. A sequence of actions is
imagined by P particles, and their returns are made one score:

    expectation   particles belong to no member: without draws each step goes to
                  the mean of all (E of the paper); with them each step is a
                  draw of another member, which is TS1
    ts1           each particle gets another member at every step (TS1)
    tsinf         each particle keeps its member to the end (TSinf)

With TSinf the particles of a member share what that member believes, so that
their returns lie as far apart as the members' beliefs; with TS1 beliefs are
mixed at every step, as if they were noise. Scores with other risks:

    mean          E[return]
    optimism      E[return] + weight * deviation of the particles' returns
    pessimism     E[return] - weight * that deviation
    disagreement  E[return - weight * sum of the members' disagreements], in the
                  reward of each step: after MOPO (Yu et al., 2020), which takes
                  the largest deviation that a member predicts, noise included
"""

import dataclasses

import tensorflow as tf

from worldmodels import errors
from worldmodels import known_model
from worldmodels import states
from worldmodels import uncertainty
from worldmodels import world_model
from worldmodels.states import State
from worldmodels.states import Tensor

PROPAGATIONS = ('expectation', 'ts1', 'tsinf')
RISKS = ('mean', 'optimism', 'pessimism', 'disagreement')
_SIGNS = {'optimism': 1.0, 'pessimism': -1.0}

Model = world_model.WorldModel | known_model.KnownModel


@dataclasses.dataclass(frozen=True)
class Sampling:
  """How many particles there are, how they move, and what they are worth.

  Attributes:
    particles: P of each sequence of actions.
    propagation: one of PROPAGATIONS.
    risk: one of RISKS.
    weight: of deviation or disagreement, 0 or more.
    seed: int32 [2] of the members; None for one after the other.
    common: whether all sequences meet the same draws.
  """

  particles: int = 1
  propagation: str = 'expectation'
  risk: str = 'mean'
  weight: float = 1.0
  seed: Tensor | None = None
  common: bool = False

  def __post_init__(self) -> None:
    errors.choose('propagation', self.propagation, PROPAGATIONS)
    errors.choose('risk', self.risk, RISKS)
    if self.risk in _SIGNS and self.particles < 2:
      raise errors.OptionError(
        'particles',
        f'is {self.particles}; {self.risk} needs at least 2, whose returns '
        'differ',
      )

  def drawn(self, draw: Tensor | int) -> 'Sampling':
    """Returns the sampling with other members, those of draw number `draw`."""
    if self.seed is None:
      return self
    seed = tf.random.experimental.stateless_fold_in(self.seed, draw)
    return dataclasses.replace(self, seed=seed)

  def start(self, model: Model, state: State) -> State:
    """Makes particles of states [N, ...]: [N P, ...], those of one in a row."""
    if self.propagation == 'tsinf':
      return model.particles(state, self.particles, self.seed)
    if self.particles > 1:
      return states.repeat(state, self.particles)
    return state

  def step(
    self, model: Model, state: State, action: Tensor, seed: Tensor | None
  ) -> State:
    """Takes a step of every particle.

    Args:
      model: that is planned in.
      state: of particles, [N P, ...].
      action: of each sequence, [N, A].
      seed: int32 [2] of the draws; None for the means.
    """
    if self.propagation == 'ts1':
      state = model.particles(state, 1, self.seed)
    return model.step(state, self.repeat(action), seed)

  def imagine(
    self, model: Model, state: State, actions: Tensor, seed: Tensor | None
  ) -> State:
    """Imagines sequences from states [N, ...], with P particles each.

    Args:
      model: that is planned in.
      state: [N, ...], a start for each sequence.
      actions: [N, H, A].
      seed: int32 [2] of the draws; None for the means.

    Returns:
      States [N P, H, ...].
    """
    state = self.start(model, state)
    if self.propagation != 'ts1':
      return model.imagine(state, self.repeat(actions), seed)
    numbers = tf.range(tf.shape(actions)[1])

    def step(carry: State, now: State) -> State:
      number = now['number']
      drawn = seed
      if seed is not None:
        drawn = tf.random.experimental.stateless_fold_in(seed, number)
      return self.drawn(number).step(model, carry, now['action'], drawn)

    inputs = {'action': states.swap(actions), 'number': numbers}
    return states.swap(states.scan(step, inputs, state))

  def reward(self, model: Model, state: State, reward: Tensor) -> Tensor:
    """Returns the rewards of the steps to states [...], less their penalty."""
    if self.risk != 'disagreement':
      return reward
    return reward - self.weight * model.spread(state)

  def worth(self, returns: Tensor) -> Tensor:
    """Makes one score of the returns of particles: [N P] -> [N]."""
    if self.particles == 1:
      return returns
    returns = self.split(returns)
    mean = tf.reduce_mean(returns, 1)
    sign = _SIGNS.get(self.risk, 0.0)
    if not sign:
      return mean
    return mean + sign * self.weight * uncertainty.deviation(returns, 1)

  def repeat(self, values: Tensor) -> Tensor:
    """Repeats what is of each sequence for its particles: [N, ...]."""
    return (
      tf.repeat(values, self.particles, 0) if self.particles > 1 else values
    )

  def split(self, values: State) -> State:
    """Gives the particles an axis of their own: [N P, ...] -> [N, P, ...]."""
    return states.apply(
      lambda value: tf.reshape(
        value, tf.concat([[-1, self.particles], tf.shape(value)[1:]], 0)
      ),
      values,
    )
