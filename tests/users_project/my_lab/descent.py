"""A gradient planner: it climbs the score by backpropagation."""

import tensorflow as tf

from worldmodels.problem import Plan


def plan(problem, seed, *, iterations=6, rate=0.3, chains=4):
  """Climbs from random plans; the best of them is taken."""
  batch, horizon = tf.shape(problem.start)[0], problem.horizon
  shape = [batch, chains, horizon, problem.actions]
  raw = tf.random.stateless_normal(shape, seed)
  raw += tf.atanh(0.9 * problem.start)[:, None]
  for _ in range(iterations):
    with tf.GradientTape() as tape:
      tape.watch(raw)
      score = problem.score(tf.tanh(raw))
    raw += rate * tf.math.l2_normalize(tape.gradient(score, raw), [2, 3])
  score = problem.score(tf.tanh(raw))
  best = tf.argmax(score, 1)
  actions = tf.gather(tf.tanh(raw), best, batch_dims=1)
  return Plan(actions, value=tf.reduce_max(score, 1))
