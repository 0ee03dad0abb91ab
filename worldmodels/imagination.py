"""Imagined returns and rollouts: for planners to climb, for actors to learn on.

`score` is the only bridge between planner and world model, and the only place
where a state is repeated for every candidate.
"""

import tensorflow as tf

from worldmodels import layers
from worldmodels import rssm
from worldmodels import world_model

# Candidates that a core is worth: their steps are a loop, and while one core
# waits for its next operation another can have a loop of its own. Fewer than
# these gain while nothing else runs, and lose beside a learner.
LEAST_CHAIN = 100


def score(model, state, seed=None, gamma=1.0, value=None):
  """Returns a function of candidates that gives their imagined returns.

  The sum of the expected rewards of the states that each action sequence is
  imagined to lead to (PlaNet, algorithm 2), each weighted by the probability
  that the episode has not ended before it, where the model has a discount
  head.

  Args:
    model: has `imagine`, `reward` and `discount`.
    state: where it starts, [B, ...].
    seed: int32 [2] to sample the states; None propagates the means.
    gamma: discount per step beside that of the model.
    value: function of states [N, ...] -> [N], what is to be had after the
      last step (TD-MPC2's terminal value); None for nothing.

  Returns:
    score(actions [B, N, H, A]) -> [B, N].
  """

  def score_actions(actions):
    """Maps [B, N, H, A] -> [B, N], in chains of candidates side by side."""
    parts = layers.shares_of(actions.shape[1], LEAST_CHAIN)
    if len(parts) < 2:
      return score_chain(actions, seed)
    seeds = ([None] * len(parts) if seed is None
             else tf.unstack(tf.random.split(seed, len(parts)), len(parts)))
    return tf.concat([
        score_chain(part, own)
        for part, own in zip(tf.split(actions, parts, 1), seeds)], 1)

  def score_chain(actions, seed):
    batch, count = tf.shape(actions)[0], tf.shape(actions)[1]
    horizon, size = actions.shape[2], actions.shape[3]
    start = {key: tf.repeat(value, count, axis=0)
             for key, value in state.items()}
    states = model.imagine(
        start, tf.reshape(actions, [batch * count, horizon, size]), seed)
    after = tf.math.cumprod(gamma * model.discount(states), 1)  # Each step.
    alive = tf.concat([tf.ones_like(after[:, :1]), after[:, :-1]], 1)
    returns = tf.reduce_sum(alive * model.reward(states), 1)
    if value is not None:
      last = {key: states[key][:, -1] for key in states}
      returns += after[:, -1] * value(last)
    return tf.reshape(returns, [batch, count])

  return score_actions


def rollout(model, policy, start, horizon, seed, nudge=None):
  """Imagines what a policy does: differentiable from end to end.

  Args:
    model: a WorldModel.
    policy: function of (features [N, F], seed) -> (actions [N, A], what they
      were made of [N, ...], to be handed out).
    start: states [N, ...].
    horizon: H, static.
    seed: int32 [2], of states and actions.
    nudge: [N, H, A] added to the actions, to take gradients by; None for none.

  Returns:
    (states [N, H, ...]; action[:, h] led to state[:, h],
     actions [N, H, A],
     what they were made of [N, H, ...]).
  """
  count, size = tf.shape(start['deter'])[0], model.rssm.actions
  seeds = tf.reshape(tf.random.split(seed, 2 * horizon), [horizon, 2, 2])
  inputs = {'seed': seeds}
  if nudge is not None:
    inputs['nudge'] = tf.transpose(nudge, [1, 0, 2])

  def step(carry, now):
    action, made_of = policy(model.rssm.features(carry), now['seed'][0])
    if 'nudge' in now:
      action += now['nudge']
    state = model.rssm.imagine_step(carry, action, now['seed'][1])
    return dict(state, action=action, made_of=made_of)

  # For its shape; one is enough.
  _, made_of = policy(model.rssm.features(start)[:1], seed)
  carry = dict(start, action=tf.zeros([count, size]),
               made_of=tf.repeat(tf.zeros_like(made_of), count, 0))
  states = {key: _batch_major(value)
            for key, value in rssm.scan(step, inputs, carry).items()}
  return states, states.pop('action'), states.pop('made_of')


def _batch_major(value):
  """[H, N, ...] -> [N, H, ...]."""
  return tf.transpose(value, [1, 0, *range(2, value.shape.rank)])


def starts(batch, state, count, seed):
  """Picks where rollouts start among the states of a batch.

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
  state = {key: tf.stop_gradient(world_model.flatten(value))
           for key, value in state.items()}
  weight = tf.reshape(batch['mask'] * batch['discount'], [-1])
  if count:
    idle = tf.cast(weight <= 0.0, tf.float32)
    order = tf.argsort(idle + tf.random.stateless_uniform(
        tf.shape(weight), seed))[:count]
    state = {key: tf.gather(value, order) for key, value in state.items()}
    weight = tf.gather(weight, order)
  return state, weight
