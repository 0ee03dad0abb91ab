"""Rows of played episodes that predictions start from, and what then came."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from worldmodels import errors
from worldmodels import states
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import WorldModel

Episode = dict[str, np.ndarray]


class ShortError(errors.UserError, ValueError):
  """Episodes that nothing can be predicted of; the message is one line."""


class Starts(NamedTuple):
  """Rows that predictions start from; their arrays are NumPy's.

  Attributes:
    episode: the number of each one's episode, [N].
    state: what the model made of the past, [N, ...].
    after: the same of each step that came, [N, H, ...].
    action: [N, H, A], of the steps that came.
    reward, discount: [N, H]; 0 after the end of an episode.
    there: whether there was such a step, [N, H].
  """

  episode: np.ndarray
  state: State
  after: State
  action: np.ndarray
  reward: np.ndarray
  discount: np.ndarray
  there: np.ndarray


def choose(
  model: WorldModel,
  episodes: Sequence[Episode],
  *,
  context: int,
  horizon: int,
  count: int,
) -> tuple[Starts, np.ndarray, np.ndarray]:
  """Filters episodes and chooses starts at even distances.

  A row is one if the episode goes on for the horizon, or ends before that: then
  nothing more comes, which is known as well.

  Args:
    model: a WorldModel.
    episodes: {key: [L, ...]}.
    context: rows that are observed before the first start.
    horizon: H, agent_steps.
    count: of starts, at most.

  Returns:
    (Starts; of each row after the context, of all episodes in a row, the KL in
    nats from its prediction, and how far its discount is from that predicted).

  Raises:
    ShortError: no row is one.
  """
  places = []
  for number, episode in enumerate(episodes):
    rows = len(episode['reward'])
    ended = episode['discount'][-1] == 0
    last = rows - 2 if ended else rows - 1 - horizon
    places += [(number, row) for row in range(context - 1, last + 1)]
  if not places:
    longest = max(len(episode['reward']) for episode in episodes)
    raise ShortError(
      f'the longest of {len(episodes)} episodes has {longest} rows; it takes '
      f'{context + horizon}, context and horizon together, or {context + 1} of '
      'one that the task ended'
    )
  chosen = np.linspace(0, len(places) - 1, min(count, len(places)))
  places = [places[round(index)] for index in chosen]
  parts, divergences, endings = [], [], []
  for number, episode in enumerate(episodes):
    rows = np.array([row for one, row in places if one == number], int)
    posterior, divergence, ending = filtered(model, episode)
    divergences.append(divergence[context:])
    endings.append(ending[context:])
    if len(rows):
      parts.append(_cut(number, episode, posterior, rows, horizon))
  joined = tf.nest.map_structure(lambda *x: np.concatenate(x), *parts)
  return joined, np.concatenate(divergences), np.concatenate(endings)


def filtered(
  model: WorldModel, episode: Episode
) -> tuple[State, np.ndarray, np.ndarray]:
  """Filters an episode: states [L, ...], and errors of predicting each [L].

  Args:
    model: a WorldModel.
    episode: {key: [L, ...]}.

  Returns:
    (states, their KL in nats from the predicted ones, the absolute error of
    the discount).
  """
  keys = ('action', 'is_first', 'discount', *model.spec.vectors)
  keys += ('image',) if model.spec.image else ()
  batch = states.tensors({key: episode[key][None] for key in keys})
  posterior, *off = _observe(model, batch)
  posterior = states.apply(lambda x: x[0].numpy(), posterior)
  return posterior, *(values[0].numpy() for values in off)


# reduce_retracing: episodes may be of any length.
@tf.function(reduce_retracing=True, autograph=False)
def _observe(
  model: WorldModel, batch: dict[str, Tensor]
) -> tuple[State, Tensor, Tensor]:
  posterior, prior = model.observe(batch)
  ending = tf.abs(model.discount(prior) - batch['discount'])
  return posterior, model.divergence(posterior, prior), ending


def _cut(
  number: int,
  episode: Episode,
  posterior: State,
  rows: np.ndarray,
  horizon: int,
) -> Starts:
  """Cuts what came after some rows of an episode [L, ...]."""
  after = rows[:, None] + 1 + np.arange(horizon)
  there = after < len(episode['reward'])
  after = np.minimum(after, len(episode['reward']) - 1)
  counts = there.astype(np.float32)
  return Starts(
    episode=np.full(len(rows), number),
    state=states.apply(lambda x: x[rows], posterior),
    after=states.apply(lambda x: x[after], posterior),
    action=episode['action'][after] * counts[..., None],
    reward=episode['reward'][after] * counts,
    discount=episode['discount'][after] * counts,
    there=there,
  )
