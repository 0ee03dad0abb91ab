"""The store of episodes: a directory with one .npz file for each.

What is on disk is the truth: counts come from the files, a file is whole or
absent, a damaged one is set aside, and nothing is held in memory but an index.
See episode_files.py for what a file holds.
"""

import json
import os
import pathlib
import re
import threading
import uuid
from collections.abc import Callable, Sequence

import numpy as np

from . import background, episode_files

_OWN_NAME = re.compile(r'(\d{6,})-[0-9a-f]{32}-\d+\.npz')
_METADATA = 'metadata.json'
_DAMAGED = 'damaged'


class StoreError(ValueError):
  """The store does not fit what is asked of it; the message says why."""


class Store:
  """Episodes on disk, and chunks of them.

  Episodes are ordered: files with foreign names first, by name, then ours by
  index. All counts include only episodes that are there.

  Attributes:
    directory: of the files, made if it does not exist.
    metadata: what the episodes were made with, as stored beside them.

  Args:
    directory: of the files.
    capacity: env_steps to keep; the oldest episodes beyond it are deleted, with
      a line in the log. 0 keeps everything.
    metadata: how the episodes are made (task, action_repeat, quality, ...).
    log: takes one line of text.
    memory_bytes: bound of the memory for files that are compressed.

  Raises:
    StoreError: the directory was made with other metadata, with one line for
      each difference, or its episodes have unlike shapes.
    OSError: the directory cannot be read or made.
  """

  def __init__(
      self,
      directory,
      *,
      capacity: int = 0,
      metadata: dict | None = None,
      log: Callable[[str], None] = print,
      memory_bytes: int = 1 << 30,
  ):
    self.directory = pathlib.Path(directory)
    self._capacity = capacity
    self._log = log
    self._lock = threading.RLock()
    self._cache = episode_files.Cache(memory_bytes)
    self.directory.mkdir(parents=True, exist_ok=True)
    episode_files.remove_leftovers(self.directory)
    self.metadata = self._match_metadata(metadata or {})
    self._files = []
    self._indices = {}  # own index -> file
    self.damaged = 0
    for path in sorted(self.directory.glob('*.npz'), key=_order):
      self._open(path)

  def append(self, episode: dict, index: int | None = None) -> int:
    """Writes an episode to disk.

    Args:
      episode: {key: [L, ...]}; missing flags and discount are filled in.
      index: its number, by default the next one. If that number is on disk
        already, nothing is written.

    Returns:
      The index.

    Raises:
      ValueError: the episode breaks the row convention.
      StoreError: its keys or shapes are not those of the store.
      OSError: the disk is full; the store is as before.
    """
    with self._lock:
      index = self.next_index if index is None else index
      if index in self._indices:
        return index
      episode = episode_files.complete(episode)
      self._check_shapes({k: v.shape[1:] for k, v in episode.items()}, 'new')
      name = f'{index:06d}-{uuid.uuid4().hex}-{len(episode["reward"])}.npz'
      path = self.directory / name
      episode_files.write(path, episode)
      self._add(episode_files.EpisodeFile(path, self._cache))
      self._files.sort(key=lambda file: _order(file.path))
      self._bound()
    return index

  def episode(self, position: int) -> dict[str, np.ndarray]:
    """The whole episode at a position of the order, {key: [L, ...]}."""
    file = self._files[position]
    return file.read(0, file.length)

  def sample(
      self,
      batch: int,
      length: int,
      seed: int | Sequence[int],
      limit: int | None = None,
      short: str = 'pad',
  ) -> dict[str, np.ndarray]:
    """Draws chunks uniformly over all places where one fits in an episode.

    The result is a pure function of the arguments and the first `limit`
    episodes.

    Args:
      batch: B, chunks.
      length: T, rows of a chunk.
      seed: one or several integers from 0.
      limit: episodes to draw from, the first ones in order; None for all.
      short: what to do with episodes of less than T rows. `pad`: each counts as
        one place, and is continued with its last image, vectors and discount,
        action and reward zero, flags false. `skip`: they are left out.

    Returns:
      {key: [B, T, ...]} of each key that all episodes have, and `mask` float32
      [B, T]: 1 for a row of an episode, 0 for padding.

    Raises:
      StoreError: there is no episode to draw from.
    """
    if short not in ('pad', 'skip'):
      raise ValueError(f"short is {short!r}: 'pad' or 'skip'")
    with self._lock:
      files, keys = self._files[:limit], list(self._shapes)
    places = np.array([file.length for file in files], np.int64) - length + 1
    places = np.maximum(places, 1 if short == 'pad' else 0)
    ends = np.cumsum(places)
    if not len(ends) or not ends[-1]:
      raise StoreError(f'{self.directory} has no episode of {length} rows')
    random = np.random.default_rng(np.random.SeedSequence(seed))
    draws = random.integers(ends[-1], size=batch)
    picks = np.searchsorted(ends, draws, side='right')
    starts = draws - (ends - places)[picks]
    chunks = [
        _read_chunk(files[pick], start, length, keys)
        for pick, start in zip(picks.tolist(), starts.tolist())
    ]
    return {key: np.stack([chunk[key] for chunk in chunks]) for key in chunks[0]}

  def chunks(
      self,
      batch: int,
      length: int,
      seed: int | Sequence[int],
      start: int = 0,
      limit: int | None = None,
      prefetch: int = 2,
      short: str = 'pad',
  ) -> background.Prefetch:
    """Batches number start, start + 1, ... prepared in the background.

    Batch i is sample(batch, length, (*seed, i), limit, short). Close the
    iterator to end its thread.
    """
    seed = (seed,) if isinstance(seed, int) else tuple(seed)
    return background.Prefetch(
        lambda i: self.sample(batch, length, (*seed, i), limit, short),
        start,
        prefetch,
    )

  @property
  def episodes(self) -> int:
    """Episodes on disk."""
    return len(self._files)

  @property
  def next_index(self) -> int:
    """The number of the next episode."""
    foreign = len(self._files) - len(self._indices)
    return max(self._indices, default=foreign - 1) + 1

  @property
  def agent_steps(self) -> int:
    """Actions taken: rows without those of the resets."""
    return sum(file.length - 1 for file in self._files)

  @property
  def env_steps(self) -> int:
    """Simulator steps: agent_steps times the action repeat."""
    return self.agent_steps * self.metadata.get('action_repeat', 1)

  @property
  def lengths(self) -> list[int]:
    """Rows of each episode, in order."""
    return [file.length for file in self._files]

  @property
  def returns(self) -> list[float]:
    """Sum of rewards of each episode, in order."""
    return [file.total_reward for file in self._files]

  @property
  def bytes_on_disk(self) -> int:
    """Size of all episodes."""
    return sum(file.nbytes for file in self._files)

  def estimate(
      self, env_steps: int, batch: int, length: int, prefetch: int = 2
  ) -> str:
    """Text of what a run needs.

    Args:
      env_steps: of the whole run.
      batch: B.
      length: T.
      prefetch: as for `chunks`.
    """
    size = self.metadata.get('size', 64)
    row = size * size * 3
    kept = min(env_steps, self._capacity) if self._capacity else env_steps
    disk = kept / self.metadata.get('action_repeat', 1) * row
    # Those that wait, one in the making and one in use.
    memory = (prefetch + 2) * batch * length * row
    return (
        f'{self.episodes} episodes, {_megabytes(self.bytes_on_disk)} on disk; '
        f'{_megabytes(disk)} for {kept} env_steps; '
        f'{_megabytes(memory)} of memory for batches'
    )

  def _match_metadata(self, asked: dict) -> dict:
    path = self.directory / _METADATA
    asked = json.loads(json.dumps(asked))  # As it will be read again.
    stored = json.loads(path.read_text()) if path.exists() else {}
    differences = [
        f'{key}: stored {stored[key]}, asked {value}'
        for key, value in asked.items()
        if key in stored and stored[key] != value
    ]
    if differences:
      raise StoreError(
          f'{self.directory} was made otherwise:\n' + '\n'.join(differences)
      )
    merged = {**stored, **asked}
    if merged != stored:
      text = json.dumps(merged, indent=2, sort_keys=True) + '\n'
      episode_files.write_atomically(
          path, lambda file: file.write(text.encode())
      )
    return merged

  def _open(self, path: pathlib.Path) -> None:
    try:
      file = episode_files.EpisodeFile(path, self._cache)
    except PermissionError:
      raise
    except episode_files.DAMAGE as error:
      self._set_aside(path, error)
      return
    self._add(file)

  def _set_aside(self, path: pathlib.Path, error: Exception) -> None:
    target = self.directory / _DAMAGED / path.name
    target.parent.mkdir(exist_ok=True)
    os.replace(path, target)
    self.damaged += 1
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    self._log(f'damaged episode set aside in {target}: {reason}')

  def _add(self, file: episode_files.EpisodeFile) -> None:
    self._check_shapes(file.shapes, file.path.name)
    if self._files:
      common = self._shapes.keys() & file.shapes.keys()
      self._shapes = {k: v for k, v in self._shapes.items() if k in common}
    else:
      self._shapes = file.shapes
    self._files.append(file)
    match = _OWN_NAME.fullmatch(file.path.name)
    if match:
      self._indices[int(match[1])] = file

  def _check_shapes(self, shapes: dict, name: str) -> None:
    if not self._files:
      return
    for key, shape in shapes.items():
      if self._shapes.get(key, shape) != shape:
        raise StoreError(
            f'{self.directory}: {key} of episode {name} has rows of shape '
            f'{list(shape)}, the others {list(self._shapes[key])}'
        )

  def _bound(self) -> None:
    """Deletes the oldest episodes beyond the capacity."""
    removed = 0
    while self._capacity and self.env_steps > self._capacity:
      if self.episodes == 1:
        break
      file = self._files.pop(0)
      self._indices = {k: f for k, f in self._indices.items() if f is not file}
      file.path.unlink()
      removed += 1
    if removed:
      self._log(
          f'deleted {removed} oldest episodes beyond the capacity of '
          f'{self._capacity} env_steps'
      )


def _order(path: pathlib.Path) -> tuple:
  match = _OWN_NAME.fullmatch(path.name)
  return (1, int(match[1]), path.name) if match else (0, 0, path.name)


def _read_chunk(file, start: int, length: int, keys) -> dict[str, np.ndarray]:
  stop = min(start + length, file.length)
  chunk = file.read(start, stop, keys)
  real = stop - start
  for key in chunk if real < length else ():
    chunk[key] = _pad(key, chunk[key], length - real)
  chunk['mask'] = (np.arange(length) < real).astype(np.float32)
  return chunk


def _pad(key: str, rows: np.ndarray, count: int) -> np.ndarray:
  zero = key in ('action', 'reward', *episode_files.FLAGS)
  row = np.zeros_like(rows[-1:]) if zero else rows[-1:]
  return np.concatenate([rows, np.repeat(row, count, 0)])


def _megabytes(count: float) -> str:
  return f'{count / 1e9:.1f} GB' if count >= 1e9 else f'{count / 1e6:.0f} MB'
