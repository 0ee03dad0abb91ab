"""Draws chunks of episodes."""

from collections.abc import Sequence

import numpy as np

from worldmodels import errors
from worldmodels.data import episode_files
from worldmodels.data import rows

SHORT = ('pad', 'skip')


def sample(
  files: Sequence[episode_files.EpisodeFile],
  shapes: dict[str, tuple[int, ...]],
  batch: int,
  length: int,
  seed: int | Sequence[int],
  short: str = 'pad',
  lengths: np.ndarray | None = None,
  part: slice = slice(None),
  margin: float = 0.0,
  recency: float = 0.0,
) -> dict[str, np.ndarray]:
  """Draws chunks uniformly over all places where one fits in an episode.

  So one chunk alone has the first row of a long episode, and T of them have
  each row in the middle; `margin` gives the ends a share, as `prioritize_ends`
  of DreamerV2's code does to the last one.

  Args:
    files: episodes to draw from.
    shapes: the keys to read, with the shape of one row.
    batch: B, chunks.
    length: T, rows of a chunk.
    seed: one or several integers from 0; decides what is drawn.
    short: what to do with episodes of less than T rows. `pad`: each counts as
      one place, and is continued with its last image, vectors and discount,
      action and reward zero, flags false. `skip`: they are left out.
    lengths: rows of each of the files, int64, where that is known.
    part: which of the chunks are read and returned.
    margin: share of T, from 0 to 1, by which places go on beyond both ends of
      an episode; a chunk drawn there is moved to the nearest where it fits.
    recency: share of the chunks, from 0 to 1, for which places are as likely as
      one over the age of their episode, which is 1 for the last of the files
      (DreamerV3's code, selector `Recency`). The others are uniform.

  Returns:
    {key: [B, T, ...]} and `mask` float32 [B, T]: 1 for a row of an episode, 0
    for padding.

  Raises:
    LookupError: there is no episode to draw from.
    OptionError: `short` is neither.
  """
  errors.choose('short', short, SHORT)
  if lengths is None:
    lengths = np.array([file.length for file in files], np.int64)
  places = lengths - length + 1
  places = np.maximum(places, 1 if short == 'pad' else 0)
  beyond = round(margin * length)
  drawable = np.where(places, places + 2 * beyond, 0)
  ends = np.cumsum(drawable)
  if not len(ends) or not ends[-1]:
    raise LookupError(f'no episode of {length} rows')
  random = np.random.default_rng(np.random.SeedSequence(seed))
  draws = random.integers(ends[-1], size=batch)
  picks = np.searchsorted(ends, draws, side='right')
  starts = draws - (ends - drawable)[picks] - beyond
  if recency:
    recent = random.random(batch) < recency
    weights = np.cumsum(drawable / np.arange(len(drawable), 0, -1))
    draws = random.random(batch) * weights[-1]
    found = np.searchsorted(weights, draws, side='right')
    picks = np.where(recent, found, picks)
    inside = random.integers(drawable[found]) - beyond
    starts = np.where(recent, inside, starts)
  starts = np.clip(starts, 0, places[picks] - 1)
  picks, starts = picks[part], starts[part]
  lead = len(picks), length
  result = {
    key: np.empty((*lead, *shape), rows.dtype_of(key))
    for key, shape in shapes.items()
  }
  result['mask'] = np.zeros(lead, np.float32)
  for row, (pick, start) in enumerate(zip(picks.tolist(), starts.tolist())):
    chunk = {key: value[row] for key, value in result.items()}
    _fill(chunk, files[pick], start, length)
  return result


def _fill(
  chunk: dict[str, np.ndarray],
  file: episode_files.EpisodeFile,
  start: int,
  length: int,
) -> None:
  """Fills the arrays {key: [T, ...]} of one chunk."""
  real = min(length, file.length - start)
  chunk.pop('mask')[:real] = 1
  file.read_into({key: values[:real] for key, values in chunk.items()}, start)
  for key, values in chunk.items():
    ends = key in ('action', 'reward', *rows.FLAGS)
    values[real:] = 0 if ends else values[real - 1]
