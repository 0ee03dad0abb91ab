"""Films of an agent: acting, its plans beside what came, other actions.

Rows and columns are those of film.py. Each function returns frames uint8
[T, height, width, 3] and figures in words.
"""

from collections.abc import Callable, Sequence
from typing import Any

import ml_collections
import numpy as np
import tensorflow as tf

from worldmodels import errors
from worldmodels import imagination
from worldmodels import states
from worldmodels.agents.agent import WorldModelAgent
from worldmodels.agents.learning_agent import LearningAgent
from worldmodels.agents.runs import acting
from worldmodels.agents.runs import film
from worldmodels.agents.runs import film_size
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import WorldModel

Episode = dict[str, np.ndarray]

# Steps of an actor that are shown as its plan where the config names none.
_HORIZON = 15


class SceneError(errors.UserError, ValueError):
  """Something cannot be filmed; the message is one line."""


def of_acting(
  agent: LearningAgent,
  config: ml_collections.ConfigDict,
  directory: RunDirectory,
  *,
  count: int,
  context: int | None,
  horizon: int | None,
  scale: int,
  log: Callable[[str], Any],
  **limits: float,
) -> tuple[np.ndarray, str]:
  """Plays episodes and films them, or the plans that the agent had.

  Args:
    agent: who acts.
    config: of the run.
    directory: of the run.
    count: of the episodes.
    context: rows before the first plan; None for a film without plans.
    horizon: rows after that to film; None for all.
    scale: by which the pixels are enlarged.
    log: called with a line for each episode.
    **limits: `timeout` and `start_timeout` of workers.start.

  Raises:
    UserError: the task cannot be started or failed, the film would be too
      large, or there is no plan.
  """
  episodes = acting.play(agent, config, directory, count, log, **limits)
  length = max(len(episode['reward']) for episode in episodes)
  if horizon is not None:
    length = min(length, (context or 0) + horizon)
  shape = (count, length, *episodes[0]['image'].shape[1:])
  names = ['world', 'model', 'error'][: 2 if context is None else 3]
  if agent.model is None:
    names = names[:1]
  layout = film.Layout(shape, scale, ['title'], names)
  film_size.check(length, layout.height, layout.width)
  if context is not None:
    return plans(agent, config, episodes, context, length, scale)
  return real(agent.model, episodes, length, scale)


def real(
  model: WorldModel | None, episodes: Sequence[Episode], length: int, scale: int
) -> tuple[np.ndarray, str]:
  """Films episodes: the world, and what the model makes of each image.

  Args:
    model: of the agent that played them; None if it has none.
    episodes: {key: [L, ...]}, each of its own length.
    length: rows to film; what is over before shows its last image.
    scale: by which the pixels are enlarged.
  """
  world = [_lengthened(episode['image'], length) for episode in episodes]
  rows = {'world': np.stack(world)}
  if model is not None:
    drawn = [
      _lengthened(model.drawing(observed(model, episode)).numpy()[0], length)
      for episode in episodes
    ]
    rows['model'] = np.stack(drawn)
  titles = [f'return {_sum(episode["reward"])}' for episode in episodes]
  frames = _compose(rows, [length] * length, scale, titles, ('acting', ''))
  returns = [float(episode['reward'].sum()) for episode in episodes]
  return frames, f'return: {np.mean(returns):.1f}, mean of {len(returns)}'


def plans(
  agent: WorldModelAgent,
  config: ml_collections.ConfigDict,
  episodes: Sequence[Episode],
  context: int,
  length: int,
  scale: int,
) -> tuple[np.ndarray, str]:
  """Films plans beside what then happened, one plan after the other.

  The agent plans anew at every step. Of the plans the film shows those that
  are made where the one before is at its end.

  Args:
    agent: that played the episodes.
    config: of the run.
    episodes: {key: [L, ...]}, the first ones of `acting.seeds`.
    context: rows before the first plan.
    length: rows to film, at most.
    scale: by which the pixels are enlarged.

  Raises:
    SceneError: the agent has no plan, or the episodes are too short for one.
  """
  length = min(length, *(len(episode['reward']) for episode in episodes))
  if length <= context:
    raise SceneError(
      f'the shortest episode has {length} rows; {context} come before a plan'
    )
  choose = tf.function(
    lambda *given: plan(agent, config, *given), autograph=False
  )
  truth, drawn, sums = [], [], []
  for seed, episode in zip(acting.seeds(len(episodes)), episodes):
    posterior = observed(agent.model, episode)
    images = [agent.model.drawing(states.between(posterior, 0, context))]
    rows = context
    while rows < length:
      state = states.at(posterior, rows - 1)
      action = choose(state, tf.constant([seed, rows - 1]))
      horizon = len(action[0])
      action = action[:, : length - rows]  # The end may cut it off.
      imagined = agent.model.imagine(state, action)
      images.append(agent.model.drawing(imagined))
      size = len(action[0])
      rewards = imagination.lasting(agent.model, imagined, agent.model.reward)
      got = episode['reward'][rows : rows + size].sum()
      sums.append((size, float(tf.reduce_sum(rewards)), float(got)))
      rows += size
    truth.append(episode['image'][:length])
    drawn.append(tf.concat(images, 1)[0].numpy())
  truth, drawn = np.stack(truth), np.stack(drawn)
  titles = [f'return {_sum(episode["reward"])}' for episode in episodes]
  starts = [
    context + max(0, step - context) // horizon * horizon
    for step in range(length)
  ]
  frames = _compose(
    {'came': truth, 'plan': drawn, 'error': film.error(truth, drawn)},
    starts,
    scale,
    titles,
    ('observed', 'planned'),
  )
  longest = max(size for size, *_ in sums)
  promised, came = np.mean([x[1:] for x in sums if x[0] == longest], 0)
  number = sum(size == longest for size, *_ in sums)
  return frames, (
    f'{number} plans, of {longest} steps each: they promise {promised:.2f} '
    f'each, {came:.2f} came'
  )


def others(
  model: WorldModel,
  batch: Episode,
  context: int,
  actions: np.ndarray,
  scale: int,
  titles: Sequence[str],
) -> tuple[np.ndarray, str]:
  """Films recorded starts that go on with other actions.

  Args:
    model: that imagines.
    batch: {key: [N, T, ...]}, recorded.
    context: rows that are observed.
    actions: [M, T - context, A], each taken by all N.
    scale: by which the pixels are enlarged.
    titles: of the N columns.
  """
  truth, drawn = film.open_loop(model, batch, context)
  rows = {'truth': truth, 'model': drawn}
  tensors = states.tensors(batch)
  posterior, _ = model.observe(states.between(tensors, None, context))
  last = states.at(posterior, -1)
  recorded = model.imagine(last, tensors['action'][:, context:])
  lines = [
    f'reward of {actions.shape[1]} steps, mean of {len(truth)} starts',
    f'  recorded actions: {_mean(batch["reward"][:, context:])} came, the '
    f'model expects {_expected(model, recorded)}',
  ]
  for number, one in enumerate(actions, 1):
    repeated = tf.repeat(one[None], len(truth), 0)
    imagined = model.imagine(last, repeated)
    name = 'other' if len(actions) == 1 else f'other {number}'
    future = model.drawing(imagined).numpy()
    rows[name] = np.concatenate([drawn[:, :context], future], 1)
    lines.append(f'  {name}: the model expects {_expected(model, imagined)}')
  starts = [context] * truth.shape[1]
  words = ('observed', 'imagined')
  return _compose(rows, starts, scale, titles, words), '\n'.join(lines)


def observed(model: WorldModel, episode: Episode) -> State:
  """Filters an episode {key: [L, ...]}: states [1, L, ...]."""
  keys = ('image', 'action', 'is_first', *model.spec.vectors)
  batch = {key: episode[key][None] for key in keys}
  posterior, _ = model.observe(states.tensors(batch))
  return posterior


def plan(
  agent: WorldModelAgent,
  config: ml_collections.ConfigDict,
  state: State,
  seed: Tensor,
) -> Tensor:
  """Plans as the agent does that acts: with its planner, or its actor.

  Args:
    agent: with a method `plan`, or a learner.
    config: of the run; `acting` says which of them acts.
    state: of the model, [B, ...].
    seed: int32 [2], that of `policy` at this step.

  Returns:
    actions [B, H, A].

  Raises:
    SceneError: it has neither.
  """
  seeds = tf.random.split(seed, 4)
  if config.get('acting', 'planner') == 'planner':
    if not hasattr(agent, 'plan'):
      raise SceneError(f'the agent {agent.name!r} has no plan')
    return agent.plan(state, seeds[1:3]).actions
  if not hasattr(agent, 'learner'):
    raise SceneError(f'the agent {agent.name!r} has no plan')

  def act(features: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
    action = agent.learner.act(features, draw, explore=False)
    return action, action

  horizon = config.get('planner', {}).get('horizon', _HORIZON)
  return imagination.rollout(agent.model, act, state, horizon, seeds[1]).action


def _compose(
  rows: dict[str, np.ndarray],
  starts: Sequence[int],
  scale: int,
  titles: Sequence[str],
  words: Sequence[str],
) -> np.ndarray:
  """Draws rows of images [N, T, H, W, 3]; `starts` is the context by step."""
  images = np.stack(list(rows.values()))
  layout = film.Layout(images.shape[1:], scale, titles, list(rows), words)
  return np.stack(
    [
      layout.frame(images[:, :, step], step, start)
      for step, start in enumerate(starts)
    ]
  )


def _lengthened(images: np.ndarray, length: int) -> np.ndarray:
  """Cuts an episode, or repeats the last image of one that is over."""
  rest = np.repeat(images[-1:], max(0, length - len(images)), 0)
  return np.concatenate([images[:length], rest])


def _sum(rewards: np.ndarray) -> str:
  return f'{rewards.sum():.1f}'


def _expected(model: WorldModel, imagined: State) -> str:
  return _mean(imagination.lasting(model, imagined, model.reward).numpy())


def _mean(rewards: np.ndarray) -> str:
  return f'{np.sum(rewards, 1).mean():.2f}'
