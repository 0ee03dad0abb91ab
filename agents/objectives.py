"""Objectives: what a planner is to reach in place of the task's reward.

An objective is a function of imagined states and of what they look like:

  objective(states, decoded) -> reward

of states [...] and a mapping {key: [..., *shape]} (worldmodels/decoded.py) to a
reward [...] for each of them. The model is not trained anew: its dynamics hold
whatever is wanted. Those that are built in are in goals.py; here is what holds
one of the user's to that shape.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from worldmodels import errors
from worldmodels import users
from worldmodels.agents.agent import WorldModelAgent
from worldmodels.decoded import Decoded
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import WorldModel

Objective = Callable[[State, Mapping[str, Tensor]], Tensor]

# Of the trial: states that an objective is tried on.
_TRIED_BATCH, _TRIED_STEPS = 2, 3


class ObjectiveError(errors.UserError, ValueError):
  """An objective that cannot be planned for; the message is one line."""


def reward(state: State, decoded: Mapping[str, Tensor]) -> Tensor:
  """Returns the reward that the model expects: the objective of the task."""
  del state
  return decoded['reward']


def of_states(
  model: WorldModel, objective: Objective, name: str
) -> Callable[[State], Tensor]:
  """Makes of an objective the function of states that a planner climbs.

  Args:
    model: a WorldModel.
    objective: of states and of what they look like.
    name: of the objective, for messages.
  """

  def worth(state: State) -> Tensor:
    found = _call(objective, state, Decoded(model, state), name)
    found = tf.debugging.check_numerics(found, _names(name))
    return tf.ensure_shape(found, model.features(state).shape[:-1])

  return worth


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
  """Turns the error of an objective that is not finite into one line.

  Raises:
    ObjectiveError: it was not, for a state that a planner came to.
  """
  try:
    yield
  except tf.errors.InvalidArgumentError as error:
    if _names(name) not in str(error):
      raise
    raise ObjectiveError(
      f'{_names(name)} is not finite, or has another shape, for a state that '
      'the planner came to: a reward is one finite number for each state'
    ) from error


def check(model: WorldModel, objective: Objective, name: str) -> None:
  """Tries an objective on states that random actions lead to.

  Args:
    model: a WorldModel.
    objective: of states and of what they look like.
    name: of the objective, for messages.

  Raises:
    ObjectiveError: it raises, or returns another shape or what is not finite.
  """

  @tf.function(autograph=False)
  def tried() -> Tensor:
    shape = [_TRIED_BATCH, _TRIED_STEPS, model.spec.actions]
    action = tf.random.stateless_uniform(shape, [0, 0], -1.0, 1.0)
    if model.spec.discrete:
      action = tf.one_hot(tf.argmax(action, -1), model.spec.actions)
    state = model.imagine(model.initial(_TRIED_BATCH), action)
    return _call(objective, state, Decoded(model, state), name)

  try:
    found = tried().numpy()
  except tf.errors.OpError as error:
    raise ObjectiveError(f'{_names(name)} raises {_one_line(error)}') from error
  expected = (_TRIED_BATCH, _TRIED_STEPS)
  if found.shape != expected:
    raise ObjectiveError(
      f'{_names(name)} returns shape {list(found.shape)} for states '
      f'{list(expected)}: it is one number for each of them, {list(expected)}'
    )
  if not np.isfinite(found).all():
    wrong = found[~np.isfinite(found)][0]
    raise ObjectiveError(
      f'{_names(name)} returns {wrong}: a reward is a finite number'
    )


def use(agent: WorldModelAgent, objective: Objective, name: str) -> None:
  """Makes the planner of an agent climb an objective, before it acts.

  Args:
    agent: that plans.
    objective: of states and of what they look like.
    name: of the objective, for messages.

  Raises:
    ObjectiveError: the agent does not plan, or see `check`.
  """
  if agent.planner is None:
    raise ObjectiveError(
      f'{_names(name)} needs a planner, and the agent has none'
    )
  agent.planner.objective = climbed(agent.model, objective, name)


def climbed(
  model: WorldModel, objective: Objective, name: str
) -> Callable[[State], Tensor] | None:
  """Returns what a planner climbs for an objective, once it has been tried.

  None for the reward, which it climbs anyway, with what a critic knows of it.

  Args:
    model: a WorldModel.
    objective: of states and of what they look like.
    name: of the objective, for messages.

  Raises:
    ObjectiveError: see `check`.
  """
  if objective is reward:
    return None
  check(model, objective, name)
  return of_states(model, objective, name)


def total(
  model: WorldModel,
  objective: Objective,
  state: State,
  known: Mapping[str, Tensor],
  name: str,
) -> Tensor:
  """Sums an objective over the steps of real episodes.

  Args:
    model: a WorldModel.
    objective: of states and of what they look like.
    state: what the model made of the episodes, states [B, T, ...].
    known: {key: [B, T, ...]} of what was observed: nobody decodes that.
    name: of the objective, for messages.

  Returns:
    [B], of all rows but the first, which no action has led to.
  """
  found = _call(objective, state, Decoded(model, state, known), name)
  found = tf.debugging.check_numerics(found, _names(name))
  return tf.reduce_sum(found[:, 1:], 1)


@tf.autograph.experimental.do_not_convert
def _call(
  objective: Objective, state: State, decoded: Decoded, name: str
) -> Tensor:
  """Calls an objective; what it raises is said in one line."""
  try:
    return tf.cast(tf.convert_to_tensor(objective(state, decoded)), tf.float32)
  except (errors.UserError, tf.errors.ResourceExhaustedError, MemoryError):
    raise
  except (Exception, SystemExit) as error:  # noqa: BLE001 (of the user's)
    raise ObjectiveError(
      f'{_names(name)} raises {_one_line(error)}{users.place(error)}'
    ) from error


def _names(name: str) -> str:
  return f'the objective {name}'


def _one_line(error: BaseException) -> str:
  """Returns what an error says, and what it may be about."""
  text = users.one_line(error)
  hint = '; it is made of TensorFlow operations' if 'symbolic' in text else ''
  return text + hint
