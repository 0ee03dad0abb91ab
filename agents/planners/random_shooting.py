"""Random shooting: the best of random sequences.

As in Nagabandi et al. (2018), Neural Network Dynamics for Model-Based Deep
Reinforcement Learning with Model-Free Fine-Tuning, section IV-C: actions are
drawn evenly, and the best sequence is taken as it is.
"""

import tensorflow as tf

from worldmodels.agents import sequences
from worldmodels.problem import Plan
from worldmodels.problem import Problem
from worldmodels.states import Tensor

PROPOSALS = True  # It tries the proposals of a problem.


def plan(problem: Problem, seed: Tensor, *, candidates: int = 1000) -> Plan:
  """Plans by drawing sequences and taking the best.

  Args:
    problem: its start and its proposals are further candidates.
    seed: int32 [2].
    candidates: N.

  Returns:
    a plan, with its score as value.

  Raises:
    tf.errors.InvalidArgumentError: a score is not finite.
  """
  start = problem.start
  batch, horizon, size = tf.shape(start)[0], start.shape[1], start.shape[2]
  actions = tf.random.stateless_uniform(
    [batch, candidates, horizon, size], seed, -1.0, 1.0
  )
  actions = tf.concat([actions, tf.clip_by_value(start, -1.0, 1.0)[:, None]], 1)
  actions = sequences.with_proposals(actions, problem)
  scores = sequences.score(problem, actions, 0)
  chosen, scores = sequences.best(actions, scores, 1)
  return Plan(tf.ensure_shape(chosen[:, 0], start.shape), value=scores[:, 0])
