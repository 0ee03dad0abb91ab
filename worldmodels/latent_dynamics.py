"""Base of latent dynamics, whose kinds are the files of worldmodels/dynamics.

A state is a dict of tensors that only the dynamics which made it look into.
Everyone else goes by one sentence: without a seed the mean, with a seed one
draw; who wants an expectation repeats the state and averages.

Time: action_t led to image_t. Where is_first is true, the state before and the
action count as zero.
"""

import keras
import tensorflow as tf

from worldmodels import states
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.uncertainty import Uncertainty


class Dynamics(keras.layers.Layer):
  """Latent dynamics.

  A kind offers `initial`, `features`, `observe_step`, `step` and `divergence`;
  `observe` and `imagine` are loops over those unless it has faster ones. The
  constructor is given embed (E), actions (A) and those options of the group
  `dynamics` of the config that it names.

  A kind with several members also has `members`, `particles`, `spread` and
  `uncertainty`. A state of its belongs to no member, where the mean is that of
  all and each draw is of another, or is committed to one by `particles`.

  Attributes:
    features_size: F.
    members: K, transitions that are learned side by side.
    told_by_members: whether `spread` is theirs, and 0 of one.
    stochastic: whether what it predicts are distributions, not points.
  """

  features_size: int
  members: int = 1
  told_by_members: bool = False
  stochastic: bool = True

  def initial(self, count: int | Tensor) -> State:
    """Returns the state before anything was seen, [count, ...]."""
    raise NotImplementedError

  def features(self, state: State) -> Tensor:
    """Returns the features that heads read, [..., F]."""
    raise NotImplementedError

  def observe_step(
    self,
    state: State,
    embed: Tensor,
    action: Tensor,
    is_first: Tensor,
    seed: Tensor | None = None,
  ) -> tuple[State, State]:
    """Filters one step.

    Args:
      state: the state before, [B, ...].
      embed: [B, E], of what the action led to.
      action: [B, A].
      is_first: bool [B].
      seed: int32 [2] for a draw; None for the mean.

    Returns:
      (posterior, prior), states [B, ...].
    """
    raise NotImplementedError

  def step(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Predicts one step: state [N, ...], action [N, A] -> state [N, ...]."""
    raise NotImplementedError

  def divergence(self, posterior: State, prior: State) -> Tensor:
    """Returns KL(posterior || prior) of states [..., *] in nats, [...]."""
    raise NotImplementedError

  def particles(
    self, state: State, count: int, seed: Tensor | None = None
  ) -> State:
    """Returns `count` states in a row for each, spread evenly over members.

    Each is committed to its member from then on, as TSinf of PETS has it (Chua
    et al., 2018, section 5); calling this at every step is TS1.

    Args:
      state: [N, ...].
      count: P.
      seed: int32 [2] of which members; None for one after the other.

    Returns:
      States [N P, ...].
    """
    del seed
    return state if count == 1 else states.repeat(state, count)

  def spread(self, state: State) -> Tensor:
    """Returns how far members are apart about the step to a state, [...].

    The root of the variance of their means, in units of a state, averaged over
    its numbers; 0 for one member, and where a state was observed.
    """
    return tf.zeros(tf.shape(self.features(state))[:-1])

  def uncertainty(self, state: State) -> Uncertainty:
    """Returns both kinds of uncertainty of the step to a state, nats [...]."""
    raise NotImplementedError

  def disagreement(self, state: State, action: Tensor) -> Tensor:
    """Returns the members' disagreement about an action [N, A]: [N]."""
    return self.spread(self.step(state, action))

  def observe(
    self,
    embed: Tensor,
    action: Tensor,
    is_first: Tensor,
    state: State | None = None,
    seed: Tensor | None = None,
  ) -> tuple[State, State]:
    """Filters a chunk.

    Args:
      embed: [B, T, E].
      action: [B, T, A].
      is_first: bool [B, T].
      state: the state before, [B, ...]; None for `initial`.
      seed: int32 [2] for draws; None for the means.

    Returns:
      (posterior, prior), states [B, T, ...].
    """
    if state is None:
      state = self.initial(tf.shape(action)[0])
    inputs = states.swap(
      {'embed': embed, 'action': action, 'is_first': is_first}
    )
    inputs.update(_seeds(seed, tf.shape(action)[1]))

    def step(carry: State, now: State) -> State:
      posterior, prior = self.observe_step(
        carry['posterior'],
        now['embed'],
        now['action'],
        now['is_first'],
        now.get('seed'),
      )
      return {'posterior': posterior, 'prior': prior}

    carry = {'posterior': state, 'prior': state}
    found = states.swap(states.scan(step, inputs, carry))
    return found['posterior'], found['prior']

  def imagine(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Predicts: state [N, ...], action [N, H, A] -> states [N, H, ...]."""
    inputs = {'action': states.swap(action)}
    inputs.update(_seeds(seed, tf.shape(action)[1]))

    def step(carry: State, now: State) -> State:
      return self.step(carry, now['action'], now.get('seed'))

    return states.swap(states.scan(step, inputs, state))


def _seeds(seed: Tensor | None, count: Tensor) -> State:
  """Returns a seed for each of `count` steps as an input of `scan`."""
  if seed is None:
    return {}
  folded = tf.map_fn(
    lambda index: tf.random.experimental.stateless_fold_in(seed, index),
    tf.range(count),
    fn_output_signature=tf.int32,
  )
  return {'seed': tf.ensure_shape(folded, [None, 2])}
