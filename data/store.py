"""The store of episodes: a directory with one .npz file for each.

What is on disk is the truth: counts come from the files, a file is whole or
absent, a damaged one is set aside, and nothing is held in memory but an index.
Who only looks changes nothing, and one program writes at a time.
rows.py says what an episode is, episode_files.py what a file is, index.py in
which order they are and how they are counted, index_file.py what is noted of
them so that they are verified once.
"""

import bisect
import os
import pathlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from worldmodels.data import background
from worldmodels.data import episode_files
from worldmodels.data import rows
from worldmodels.data import sampling
from worldmodels.data.archive import DamagedError
from worldmodels.data.folder import Folder
from worldmodels.data.index import Index
from worldmodels.data.metadata import StoreError
from worldmodels.data.reading import IrregularError

# Episodes, the shapes of their rows, and the rows of each.
_There = tuple[
  list[episode_files.EpisodeFile], dict[str, tuple[int, ...]], np.ndarray
]


class Store(Index):
  """Episodes on disk, and chunks of them.

  Attributes:
    directory: of the files.
    metadata: how the episodes were made, as stored beside them.
    damaged: files that were set aside, or left out, when it was opened.
    missing: the first of its numbers that may yet come; those from there on
      are not deleted, whatever the capacity. None if they come in order.

  Args:
    directory: of the files, made if it does not exist.
    capacity: env_steps to keep; the oldest episodes beyond it are deleted, with
      a line in the log. 0 keeps everything.
    metadata: how the episodes are made (task, action_repeat, quality, ...).
    log: takes one line of text.
    memory_bytes: bound of the memory for files that are compressed.
    reading: only looks: nothing is written, made or removed, and nothing can
      be appended. It may be opened while another program writes.

  Raises:
    StoreError: the directory was made with other metadata, with one line for
      each difference; its episodes have unlike shapes; or a file is no episode
      by the convention of rows.py.
    OSError: the directory cannot be read or made.
  """

  def __init__(
    self,
    directory: str | os.PathLike,
    *,
    capacity: int = 0,
    metadata: dict[str, Any] | None = None,
    log: Callable[[str], object] = print,
    memory_bytes: int = 1 << 30,
    reading: bool = False,
  ):
    directory = pathlib.Path(directory)
    self._folder = Folder(directory, metadata or {}, reading)
    self.metadata = self._folder.metadata
    action_repeat = self.metadata.get('action_repeat', 1)
    super().__init__(directory, action_repeat, self._folder.deleted)
    self._capacity = capacity
    self.missing: int | None = None
    self._log = log
    self._lock = threading.RLock()
    self._cache = episode_files.Cache(memory_bytes)
    self._open_all()

  def append(
    self, episode: dict[str, np.ndarray], index: int | None = None
  ) -> int:
    """Writes an episode to disk.

    Args:
      episode: {key: [L, ...]}; missing flags and discount are filled in.
      index: its number, by default the next one. If that number is on disk
        already, nothing is written.

    Returns:
      The index.

    Raises:
      RowsError: the episode breaks the row convention.
      StoreError: its keys or shapes are not those of the store; another
        program writes into it or has done so; or it is opened for reading.
      OSError: the disk is full; the store is as before.
    """
    with self._lock:
      index = self.next_index if index is None else index
      if index in self:
        return index
      self._folder.claim(self._facts)
      episode = rows.complete(episode)
      self._check_new({k: v.shape[1:] for k, v in episode.items()})
      name = episode_files.new_name(index, len(episode['reward']))
      path = self.directory / name
      episode_files.write(path, episode)
      file = episode_files.EpisodeFile(path, self._cache, trusted=True)
      self._add(file)
      self._folder.note(name, file.facts)
      self._bound()
    return index

  def episode(self, position: int) -> dict[str, np.ndarray]:
    """Reads the episode at a position of the order, {key: [L, ...]}."""
    file = self._files[position]
    return file.read(0, file.length)

  def sample(
    self,
    batch: int,
    length: int,
    seed: int | Sequence[int],
    limit: int | None = None,
    short: str = 'pad',
    part: slice = slice(None),
    margin: float = 0.0,
    recency: float = 0.0,
  ) -> dict[str, np.ndarray]:
    """Draws chunks uniformly over all places where one fits in an episode.

    The result is a pure function of the arguments and the first `limit`
    episodes.

    Args:
      batch: B, chunks.
      length: T, rows of a chunk.
      seed: one or several integers from 0.
      limit: episodes to draw from, the first ones in order; None for all.
      short: what becomes of episodes of less than T rows: `pad` continues them
        (see sampling.py), `skip` leaves them out.
      part: which of the chunks are read: those of one of several learners.
      margin: share of T, from 0 to 1, by which places go on beyond both ends
        of an episode, so that these are drawn as often as its middle.
      recency: share of the chunks that come the likelier the newer they are: by
        one over the age of their episode.

    Returns:
      {key: [B, T, ...]} of each key that all episodes have, but env_steps, and
      `mask` float32 [B, T]: 1 for a row of an episode, 0 for padding.

    Raises:
      StoreError: there is no episode to draw from.
      OptionError: `short` is neither.
    """
    given = (batch, length, seed, short)
    with self._lock:
      return self._drawn(
        self._there(limit), *given, part=part, margin=margin, recency=recency
      )

  def chunks(
    self,
    batch: int,
    length: int,
    seed: int | Sequence[int],
    start: int = 0,
    limit: int | None = None,
    prefetch: int = 2,
    fixed: bool = False,
    **options: Any,
  ) -> background.Prefetch[dict[str, np.ndarray]]:
    """Prepares batches number start, start + 1, ... in the background.

    Batch i is sample(batch, length, (*seed, i), limit, **options). Close the
    iterator to end its thread.

    Args:
      batch: B, chunks.
      length: T, rows of a chunk.
      seed: one or several integers from 0.
      start: number of the first batch.
      limit: episodes to draw from, the first ones in order; None for all.
      prefetch: batches to keep ready.
      fixed: whether all batches are of the episodes that are there now, and
        none that comes later, whatever its number; none of them may go.
      **options: of `sample`.
    """
    seed = (seed,) if isinstance(seed, int) else tuple(seed)
    with self._lock:
      there = self._there(limit) if fixed else None

    def made(number: int) -> dict[str, np.ndarray]:
      with self._lock:
        of = there or self._there(limit)
        return self._drawn(of, batch, length, (*seed, number), **options)

    return background.Prefetch(made, start, prefetch)

  def estimate(
    self, env_steps: int, batch: int, length: int, row: int, prefetch: int = 2
  ) -> str:
    """Returns the needs of a run as text.

    Args:
      env_steps: of the run.
      batch: B, chunks.
      length: T, rows of a chunk.
      row: bytes of what is observed in one.
      prefetch: batches that are kept ready.
    """
    kept = min(env_steps, self._capacity) if self._capacity else env_steps
    disk = kept / self._action_repeat * row
    # Those that wait, one in the making and one in use.
    memory = (prefetch + 2) * batch * length * row
    return (
      f'{self.episodes} episodes, {_megabytes(self.bytes_on_disk)} on disk; '
      f'{_megabytes(disk)} for {kept} env_steps; '
      f'{_megabytes(memory)} of memory for batches'
    )

  def _there(self, limit: int | None) -> _There:
    """Returns the first episodes, as they are now."""
    return self._files[:limit], self._shapes, self._row_counts()[:limit]

  def _drawn(
    self, there: _There, *given: Any, **options: Any
  ) -> dict[str, np.ndarray]:
    """Draws chunks of episodes, see `sample`."""
    files, shapes, lengths = there
    try:
      return sampling.sample(files, shapes, *given, lengths=lengths, **options)
    except LookupError as error:
      raise StoreError(f'{self.directory}: {error}') from error

  def _open_all(self) -> None:
    """Opens all files; what is damaged is set aside, unless another writes."""
    spoiled = {}
    # Our own first, so that those of others are held to them.
    places = sorted(map(episode_files.order, self._folder.names()))
    for _, _, name in sorted(places, key=lambda place: not place[0]):
      path = self.directory / name
      try:
        facts = self._folder.facts(name)
        self._add(episode_files.EpisodeFile(path, self._cache, facts))
      except FileNotFoundError:
        pass  # Another program has just deleted it, beyond its capacity.
      except DamagedError as error:
        spoiled[name] = error
      except rows.RowsError as error:
        raise StoreError(f'{path} is no episode: {error}') from error
      except IrregularError:
        self._log(f'{path} is no regular file: left out')
    self.damaged = len(spoiled)
    self._folder.tidy(self._facts(), spoiled, self._log)

  def _facts(self) -> dict[str, episode_files.Facts]:
    return {file.path.name: file.facts for file in self._files}

  def _bound(self) -> None:
    """Deletes the oldest of our episodes beyond the capacity."""
    surplus = self.env_steps - self._capacity if self._capacity else 0
    old, first = [], self.episodes - len(self._own)
    most = len(self._own) - 1
    if self.missing is not None:
      most = min(most, bisect.bisect_left(self._own, self.missing))
    while surplus > 0 and len(old) < most:
      old.append(self._files[first + len(old)])
      surplus -= self._env_steps(old[-1])
    if old:
      self._drop(old)
      self._deleted.delete(
        [file.path.name for file in old],
        sum(file.length - 1 for file in old),
        sum(map(self._env_steps, old)),
      )
      self._log(
        f'deleted the {len(old)} oldest episodes, beyond the capacity of '
        f'{self._capacity} env_steps'
      )


def _megabytes(count: float) -> str:
  return f'{count / 1e9:.1f} GB' if count >= 1e9 else f'{count / 1e6:.0f} MB'
