"""Imagined returns: the score that a planner climbs.

This is the only bridge between planner and world model, and the only place
where a state is repeated for every candidate.
"""

import tensorflow as tf


def score(model, state, seed=None):
  """Returns a function of candidates that gives their imagined returns.

  The sum of the expected rewards of the states that each action sequence is
  imagined to lead to (PlaNet, algorithm 2), each weighted by the probability
  that the episode has not ended before it, where the model has a discount
  head.

  Args:
    model: has `imagine`, `reward` and `discount`.
    state: where it starts, [B, ...].
    seed: int32 [2] to sample the states; None propagates the means.

  Returns:
    score(actions [B, N, H, A]) -> [B, N].
  """

  def score_actions(actions):
    batch, count = tf.shape(actions)[0], tf.shape(actions)[1]
    horizon, size = actions.shape[2], actions.shape[3]
    start = {key: tf.repeat(value, count, axis=0)
             for key, value in state.items()}
    states = model.imagine(
        start, tf.reshape(actions, [batch * count, horizon, size]), seed)
    alive = tf.math.cumprod(model.discount(states), 1, exclusive=True)
    returns = tf.reduce_sum(alive * model.reward(states), 1)
    return tf.reshape(returns, [batch, count])

  return score_actions
