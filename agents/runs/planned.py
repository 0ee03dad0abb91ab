"""A planner at work inside the model: what it would do, were the model true.

From the states that recorded episodes lead to, the agent plans and acts as it
does in the world (a warm start and `planner.replan` count), in the model
instead. So another planner or another objective can be looked at without the
environment.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from worldmodels import imagination
from worldmodels import prediction
from worldmodels import states
from worldmodels.agents.agent import WorldModelAgent
from worldmodels.agents.runs import film
from worldmodels.states import State
from worldmodels.states import Tensor

Batch = dict[str, np.ndarray]

ROWS = ('recorded', 'planned', 'difference')


class Dream(NamedTuple):
  """What an agent imagines of its planner.

  Attributes:
    images: uint8 [B, T, h, w, c]: the states of the context, then of the plans.
    actions: that were planned, float32 [B, T - context, A].
    planned: sum of the reward, or of the planner's objective, over the planned
      steps while the episode lasts, float32 [B].
    recorded: the same over as many steps of the recorded actions.
  """

  images: np.ndarray
  actions: np.ndarray
  planned: np.ndarray
  recorded: np.ndarray


def dream(agent: WorldModelAgent, batch: Batch, context: int) -> Dream:
  """Lets an agent plan and act in its model.

  Args:
    agent: with a planner.
    batch: {key: [B, T, ...]}: its first steps are observed, then its actions
      are those that the planned ones are compared with.
    context: observed steps, at least 1 and fewer than T.
  """
  model, objective = agent.model, agent.planner.objective
  worth = model.reward if objective is None else objective
  batch = states.tensors(batch)
  predicted = prediction.predict(model, batch, context)
  state, found, actions = states.at(predicted, context - 1), [], []
  count = len(batch['action'])
  kept = agent.planner.initial(count)  # Of a warm start, or a plan followed.
  step = tf.function(_step, autograph=False)
  for number in range(batch['action'].shape[1] - context):
    is_first = tf.fill([count], number == 0)
    action, state, kept = step(
      agent, state, kept, is_first, tf.constant([0, number])
    )
    found.append(state)
    actions.append(action)
  planned = tf.nest.map_structure(lambda *steps: tf.stack(steps, 1), *found)
  seen = states.between(predicted, None, context)
  recorded = states.between(predicted, context, None)
  return Dream(
    model.drawing(states.join(seen, planned)).numpy(),
    tf.stack(actions, 1).numpy(),
    tf.reduce_sum(imagination.lasting(model, planned, worth), 1).numpy(),
    tf.reduce_sum(imagination.lasting(model, recorded, worth), 1).numpy(),
  )


def _step(
  agent: WorldModelAgent,
  state: State,
  kept: State,
  is_first: Tensor,
  seed: Tensor,
) -> tuple[Tensor, State, State]:
  """Plans and acts as in the world.

  Args:
    agent: with a planner.
    state: of the model, [B, ...].
    kept: of the planner, of the step before.
    is_first: bool [B], whether there was none.
    seed: int32 [2].

  Returns:
    (action [B, A], state [B, ...], what the planner keeps).
  """
  seeds = tf.random.split(seed, 2)
  action, kept = agent.planner.follow(
    kept, is_first, lambda **warm: agent.plan(state, seeds, **warm).actions
  )
  return action, agent.model.step(state, action), kept


def film_of(
  agent: WorldModelAgent,
  batch: Batch,
  context: int,
  scale: int,
  titles: Sequence[str],
) -> tuple[np.ndarray, str]:
  """Films what an agent imagines of its planner, beside what was recorded.

  Args:
    agent: with a planner.
    batch: as for `dream`, with images.
    context: observed steps.
    scale: by which pixels are enlarged.
    titles: of the columns.

  Returns:
    (frames uint8 [T, height, width, 3], what both reach, in words).
  """
  found = dream(agent, batch, context)
  frames = film.compose(
    batch['image'],
    found.images,
    context,
    scale=scale,
    titles=titles,
    rows=ROWS,
  )
  what = 'reward' if agent.planner.objective is None else 'objective'
  steps = found.actions.shape[1]
  lines = []
  for name, sums in (
    ('planned', found.planned),
    ('recorded actions', found.recorded),
  ):
    listed = ', '.join(f'{value:.4g}' for value in sums)
    lines.append(
      f'{what} of {steps} imagined steps, {name}: mean {sums.mean():.4g} '
      f'({listed})'
    )
  return frames, '\n'.join(lines)
