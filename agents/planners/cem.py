"""The cross-entropy method over action sequences (PlaNet, algorithm 2).

Where paper and code differ this follows the code: the spread of the elites is
the root of their variance (the paper prints a mean absolute deviation), and
candidates are clipped to [-1, 1].
"""

import tensorflow as tf


def plan(score, start, seed, *, iterations, candidates, elites, spread=1.0,
         min_std=0.0, proposals=None):
  """Plans by refitting a Gaussian to the best of its samples.

  Right for any batch: the sequences of one member never meet another's.

  Args:
    score: function of actions [B, N, H, A] -> scores [B, N]; more is better.
    start: mean of the first Gaussian, [B, H, A].
    seed: int32 [2].
    iterations: refits.
    candidates: N.
    elites: K, how many of the best are fitted.
    spread: standard deviation of the first Gaussian.
    min_std: floor of the standard deviation between refits.
    proposals: [B, M, H, A], further candidates at every refit, such as those of
      a policy (TD-MPC2); None for none.

  Returns:
    mean of the last Gaussian, [B, H, A], in [-1, 1].

  Raises:
    ValueError: elites are not between 1 and candidates.
    tf.errors.InvalidArgumentError: a score is not finite.
  """
  if not 1 <= elites <= candidates:
    raise ValueError(
        f'planner.elites is {elites}; it is 1 to candidates ({candidates})')
  batch, horizon, size = tf.shape(start)[0], start.shape[1], start.shape[2]
  seeds = tf.random.experimental.stateless_split(seed, iterations)

  def refit(index, mean, std):
    noise = tf.random.stateless_normal(
        [batch, candidates, horizon, size], seeds[index])
    actions = tf.clip_by_value(
        mean[:, None] + std[:, None] * noise, -1.0, 1.0)  # [B, N, H, A]
    if proposals is not None:
      actions = tf.concat([actions, proposals], 1)  # [B, N + M, H, A]
    scores = tf.debugging.check_numerics(score(actions), 'a plan\'s score')
    best = tf.math.top_k(scores, elites, sorted=False).indices
    chosen = tf.gather(actions, best, batch_dims=1)  # [B, K, H, A]
    mean, variance = tf.nn.moments(chosen, [1])
    std = tf.maximum(tf.sqrt(variance + 1e-6), min_std)
    return (index + 1, tf.ensure_shape(mean, start.shape),
            tf.ensure_shape(std, start.shape))

  _, mean, _ = tf.while_loop(
      lambda index, *_: index < iterations, refit,
      (0, start, tf.fill(tf.shape(start), spread)),
      maximum_iterations=iterations)
  return tf.clip_by_value(mean, -1.0, 1.0)
