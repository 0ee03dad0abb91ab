"""Random shooting over sequences of choices: random_shooting.py, one-hot.

Nagabandi et al. (2018), section IV-C, with every choice as likely as another.
"""

import tensorflow as tf

from worldmodels.agents import sequences
from worldmodels.problem import Plan
from worldmodels.problem import Problem
from worldmodels.states import Tensor

DISCRETE = True  # Plans and candidates are one-hot.


def plan(problem: Problem, seed: Tensor, *, candidates: int = 1000) -> Plan:
  """Plans by drawing sequences of choices and taking the best.

  Args:
    problem: its start is a further candidate; where a step of it is not
      one-hot, such as all of none, that step is drawn.
    seed: int32 [2].
    candidates: N.

  Returns:
    a plan, one-hot, with its score as value.

  Raises:
    tf.errors.InvalidArgumentError: a score is not finite.
  """
  start = problem.start
  batch, horizon, size = tf.shape(start)[0], start.shape[1], start.shape[2]
  choices = tf.random.stateless_uniform(
    [batch, candidates + 1, horizon], seed, 0, size, tf.int32
  )
  actions = tf.one_hot(choices, size)
  sure = tf.reduce_max(start, -1, keepdims=True) >= 1.0
  begun = tf.where(sure, start, actions[:, -1])
  actions = tf.concat([actions[:, :-1], begun[:, None]], 1)
  scores = sequences.score(problem, actions, 0)
  chosen, scores = sequences.best(actions, scores, 1)
  return Plan(tf.ensure_shape(chosen[:, 0], start.shape), value=scores[:, 0])
