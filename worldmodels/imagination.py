"""Imagined rollouts of a policy: for actors to learn on, for proposals."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from worldmodels import replicas
from worldmodels import states
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import WorldModel

# (features [N, F], seed) -> (actions [N, A], outputs that they were drawn from)
Policy = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Rollout(NamedTuple):
  """Imagined steps of a policy; action[:, h] led to states[:, h].

  Attributes:
    states: [N, H, ...].
    action: [N, H, A].
    outputs: what the policy drew the actions from, [N, H, ...].
  """

  states: State
  action: Tensor
  outputs: Tensor


def rollout(
  model: WorldModel,
  policy: Policy,
  start: State,
  horizon: int,
  seed: Tensor,
  action_offset: Tensor | None = None,
) -> Rollout:
  """Imagines a rollout of a policy, differentiable from end to end.

  Args:
    model: a WorldModel.
    policy: function of (features [N, F], seed) -> (actions [N, A], what they
      were drawn from [N, ...], to be handed out).
    start: states [N, ...].
    horizon: H, static.
    seed: int32 [2], of states and actions.
    action_offset: [N, H, A] added to the actions, to take gradients by; None
      for none.
  """
  seeds = tf.reshape(tf.random.split(seed, 2 * horizon), [horizon, 2, 2])
  inputs = {'seed': seeds}
  if action_offset is not None:
    inputs['offset'] = states.swap(action_offset)

  def step(carry: State, now: State) -> State:
    features = model.features(carry['state'])
    action, outputs = policy(features, now['seed'][0])
    if 'offset' in now:
      action += now['offset']
    state = model.step(carry['state'], action, now['seed'][1])
    return {'state': state, 'action': action, 'outputs': outputs}

  # One row suffices to learn the shapes.
  action, outputs = policy(model.features(start)[:1], seed)
  count = states.size(start)
  carry = {
    'state': start,
    'action': tf.zeros([count, action.shape[-1]]),
    'outputs': tf.repeat(tf.zeros_like(outputs), count, 0),
  }
  found = states.swap(states.scan(step, inputs, carry))
  return Rollout(found['state'], found['action'], found['outputs'])


def starts(
  batch: dict[str, Tensor], state: State, count: int, seed: Tensor
) -> tuple[State, Tensor]:
  """Picks states of a batch that rollouts start from.

  Of fewer than all, those that are worth a start come first.

  Args:
    batch: has mask and discount [B, T].
    state: [B, T, ...].
    count: how many, at random; 0 for all.
    seed: int32 [2].

  Returns:
    (states [N, ...] without gradient, weight [N], 0 for padding and for
    states after which nothing comes).
  """
  state = states.stop(states.flatten(state))
  weight = tf.reshape(batch['mask'] * batch['discount'], [-1])
  if count:  # Of the states of all replicas.
    state, weight = replicas.gather((state, weight))
    idle = tf.cast(weight <= 0.0, tf.float32)
    order = tf.argsort(
      idle + tf.random.stateless_uniform(tf.shape(weight), seed)
    )[:count]
    order = replicas.share(order)
    state = states.take(state, order)
    weight = tf.gather(weight, order)
  return state, weight


def lasting(
  model: WorldModel, found: State, worth: Callable[[State], Tensor]
) -> Tensor:
  """Weighs what imagined steps are worth by how likely they are reached.

  Args:
    model: a WorldModel, whose discount says where an episode ends.
    found: states [N, H, ...], one after the other.
    worth: function of those -> [N, H], such as `model.reward`.

  Returns:
    [N, H]; the step that ends an episode counts, those after it do not.
  """
  alive = tf.math.cumprod(model.discount(found), 1, exclusive=True)
  return alive * worth(found)
