"""A small tree search with single steps: the best branches of each depth."""

import tensorflow as tf

from worldmodels import states
from worldmodels.problem import Plan


def plan(problem, seed, *, width=6, horizon=5):
  """Tries pushes along each axis and none; keeps `width` branches."""
  del seed
  axes = tf.eye(problem.actions)
  choices = tf.concat([axes, -axes, tf.zeros([1, problem.actions])], 0)
  count, batch = choices.shape[0], states.size(problem.state)
  # One branch: the root.
  state, branches = problem.state, 1
  score, left = tf.zeros([batch, 1]), tf.ones([batch, 1])
  actions = tf.zeros([batch, 1, 0, problem.actions])
  for _ in range(horizon):
    # Every branch takes every choice.
    state = states.repeat(state, count)
    taken = tf.tile(choices, [batch * branches, 1])
    state, reward, discount = problem.step(state, taken)
    shape = [batch, branches * count]
    score = tf.repeat(score, count, 1)
    left = tf.repeat(left, count, 1)
    score += left * tf.reshape(reward, shape)
    left *= tf.reshape(discount, shape)
    taken = tf.reshape(taken, [*shape, 1, problem.actions])
    actions = tf.concat([tf.repeat(actions, count, 1), taken], 2)
    # The best of them go on; what a leaf is worth counts.
    value = score + left * tf.reshape(problem.value(state), shape)
    best = tf.math.top_k(value, min(width, branches * count)).indices
    row = tf.range(batch)[:, None] * branches * count
    state = states.take(state, tf.reshape(best + row, [-1]))
    score, left, actions = (
      tf.gather(x, best, batch_dims=1) for x in (score, left, actions)
    )
    branches = best.shape[1]
  rest = tf.zeros([batch, problem.horizon - horizon, problem.actions])
  return Plan(tf.concat([actions[:, 0], rest], 1), value=score[:, 0])
