"""Measures agents and models: returns, open-loop error, model against policy.

The loss says how well the model follows what it sees; open-loop error says how
well it predicts what it does not see yet, step by step.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ml_collections
import numpy as np
import tensorflow as tf

from worldmodels import disagreement
from worldmodels import prediction
from worldmodels import states
from worldmodels.agents.learning_agent import LearningAgent
from worldmodels.agents.runs import collect
from worldmodels.agents.runs import film
from worldmodels.agents.runs import memory
from worldmodels.agents.runs import selection
from worldmodels.agents.runs.silence import Silence
from worldmodels.data import workers
from worldmodels.data.store import Store
from worldmodels.world_model import WorldModel

VIDEO_EPISODES = 3
_MOST_RANDOM = 16  # episodes of random actions, of which all fit into memory
SCALE = 2  # of TensorBoard's videos: they are many

Values = dict[str, np.ndarray]


def returns(
  agent: collect.Actor,
  environments: Sequence[workers.Worker],
  seeds: Sequence[int],
  log: Callable[[str], Any],
  takers: Sequence[Callable[[collect.Episode], Any]] = (),
) -> list[float]:
  """Runs episodes without noise, as many at a time as there are environments.

  Args:
    agent: with the policy.
    environments: workers.
    seeds: of the episodes.
    log: called with a line for each episode.
    takers: each called with every episode.

  Returns:
    the return of each episode.
  """
  found, silence = [], Silence()

  def on_step(step: int) -> None:
    if silence.is_long():
      silence.end()
      log(f'episode {len(found) + 1} of {len(seeds)} is at step {step}')

  collector = collect.Collector(agent, environments, log, on_step)
  for _, episode in collector.collect(
    range(len(seeds)), seeds.__getitem__, explore=False
  ):
    found.append(float(episode['reward'].sum(dtype=np.float64)))
    for take in takers:
      take(episode)
    log(f'episode {len(found)} of {len(seeds)}: return {found[-1]:.1f}')
    silence.end()
  return found


def measure(
  agent: LearningAgent,
  store: Store,
  config: ml_collections.ConfigDict,
  positions: Sequence[int],
) -> Values:
  """Measures an agent on held-out episodes: `open_loop` and `behavior`.

  Args:
    agent: who acts, with its model.
    store: of held-out episodes.
    config: of the run.
    positions: which episodes of the store are of the policy.

  Returns:
    the figures and films of both; nothing of an agent without a model.
  """
  if agent.model is None:
    return {}
  with memory.during('an evaluation', config, memory.MEASURING):
    return {
      **open_loop(agent.model, store, config, positions),
      **behavior(agent, store, config, positions),
    }


def open_loop(
  model: WorldModel,
  store: Store,
  config: ml_collections.ConfigDict,
  positions: Iterable[int],
) -> Values:
  """Measures errors by horizon, and films them.

  Args:
    model: a WorldModel.
    store: of held-out episodes; our first train.seed_episodes are random, and
      `_MOST_RANDOM` of those are taken.
    config: of the run.
    positions: which episodes of the store are of the policy.

  Returns:
    {open_loop_{random, policy}_{error}: [horizon]}, as in prediction.errors
    and, of an ensemble, in disagreement.by_horizon; open_loop_video and
    reconstruction_video uint8 [T, H, W, 3]; nothing for
    episodes that are too short.
  """
  first = store.before(0)  # Those of others come before ours.
  values = {}
  count = min(config.train.seed_episodes, _MOST_RANDOM)
  for name, chosen in (
    ('random', range(first, first + count)),
    ('policy', positions),
  ):
    context, horizon = config.evaluate.context, config.evaluate.horizon
    values |= open_loop_of(model, name, store, chosen, context, horizon)
  return values


def open_loop_of(
  model: WorldModel,
  name: str,
  store: Store,
  positions: Iterable[int],
  context: int,
  horizon: int,
) -> Values:
  """Measures errors by horizon on some episodes, and films them.

  Args:
    model: a WorldModel.
    name: what the episodes are called in the figures.
    store: of held-out episodes.
    positions: which of them.
    context: observed steps.
    horizon: predicted steps.

  Returns:
    {open_loop_{name}_{error}: [horizon]} and films, see `open_loop`; nothing
    where all are too short.
  """
  long = _long_enough(store, positions, context + horizon)
  if not long:
    return {}
  # Errors of all chunks.
  batch = selection.cut(long, context + horizon)
  measured = _errors(model, states.tensors(batch), context)
  values = {
    f'open_loop_{name}_{key}': error.numpy() for key, error in measured.items()
  }
  if 'image' not in batch:
    return values
  # Films of the first ones.
  shown = {key: value[:VIDEO_EPISODES] for key, value in batch.items()}
  truth, predicted = film.open_loop(model, shown, context)
  values['open_loop_video'] = film.compose(
    truth, predicted, context, scale=SCALE
  )
  truth, predicted = film.reconstruction(model, shown)
  values['reconstruction_video'] = film.compose(
    truth, predicted, context + horizon, scale=SCALE
  )
  return values


def behavior(
  agent: LearningAgent,
  store: Store,
  config: ml_collections.ConfigDict,
  positions: Iterable[int],
) -> Values:
  """Compares an agent's behavior in its model with that in the world.

  Args:
    agent: whose `diagnose` says so.
    store: of held-out episodes.
    config: of the run.
    positions: which episodes of the store are of the policy.

  Returns:
    {behavior_{figure}}, as in `agents.diagnosis`, and own_dream_video uint8
    [T, H, W, 3]: what the agent imagines of its own policy, beside what that
    policy then did; nothing for episodes that are too short.
  """
  context, horizon = config.evaluate.context, config.evaluate.horizon
  long = _long_enough(store, positions, context + horizon)
  if not long:
    return {}
  batch = selection.cut(long, context + horizon)
  figures, drawn = _diagnose(agent, states.tensors(batch), context)
  values = {f'behavior_{key}': value.numpy() for key, value in figures.items()}
  if drawn is not None:
    truth = batch['image'][:VIDEO_EPISODES]
    values['own_dream_video'] = film.compose(
      truth, drawn.numpy()[:VIDEO_EPISODES], context, scale=SCALE
    )
  return values


def _long_enough(
  store: Store, positions: Iterable[int], rows: int
) -> list[Values]:
  return [
    store.episode(position)
    for position in positions
    if store.lengths[position] >= rows
  ]


# reduce_retracing: the count of chunks differs from one evaluation to the next.
@functools.partial(tf.function, reduce_retracing=True, autograph=False)
def _diagnose(
  agent: LearningAgent, batch: dict[str, tf.Tensor], context: int
) -> tuple[dict[str, tf.Tensor], tf.Tensor | None]:
  """Returns figures, and uint8 images: observed ones, then imagined ones."""
  figures, imagined = agent.diagnose(batch, context, tf.constant([0, 0]))
  if imagined is None or 'image' not in agent.model.keys:
    return figures, None
  seen, _ = agent.model.observe(states.between(batch, None, context))
  return figures, agent.model.drawing(states.join(seen, imagined))


@functools.partial(tf.function, reduce_retracing=True, autograph=False)
def _errors(
  model: WorldModel, batch: dict[str, tf.Tensor], context: int
) -> dict[str, tf.Tensor]:
  errors = prediction.errors(model, batch, context)
  return errors | disagreement.by_horizon(model, batch, context)
