"""The folder of a store: who writes into it, and what is tidied up there.

Whoever only looks changes nothing. One program at a time writes: the first
that appends claims the folder until it ends.
"""

import errno
import itertools
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from worldmodels.data import atomic
from worldmodels.data import claim
from worldmodels.data import episode_files
from worldmodels.data.episode_files import Facts
from worldmodels.data.index_file import IndexFile
from worldmodels.data.metadata import Deleted
from worldmodels.data.metadata import StoreError
from worldmodels.data.metadata import match_metadata

_DAMAGED = 'damaged'
# Another program has the folder for a moment while it opens it.
_WAIT_SECONDS = 10.0
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class Folder:
  """The folder of a store.

  Attributes:
    metadata: how the episodes are made, as stored and as asked for.
    deleted: the count of those that were deleted.

  Args:
    directory: its path; made if it does not exist and may be written.
    metadata: asked for.
    reading: whether nothing may be written.

  Raises:
    StoreError: it was made with other metadata, or has damaged ones.
    OSError: it cannot be read or made.
  """

  def __init__(
    self, directory: pathlib.Path, metadata: dict[str, Any], reading: bool
  ):
    if not reading:
      directory.mkdir(parents=True, exist_ok=True)
    self.metadata = match_metadata(directory, metadata, write=False)
    action_repeat = self.metadata.get('action_repeat', 1)
    self.deleted = Deleted(directory, action_repeat)
    self._directory = directory
    self._reading = reading
    self._index = IndexFile(directory)
    self._left_out: set[str] = set()
    self._claim: claim.Claim | None = None
    self._me = object()  # Among those of this process that share the claim.

  def names(self) -> list[str]:
    """Lists the files that look like episodes and are not to be deleted."""
    return [
      name
      for name in os.listdir(self._directory)
      if name.endswith(episode_files.ENDING) and name not in self.deleted.names
    ]

  def facts(self, name: str) -> Facts | None:
    """Returns what is known of a file that has not changed since."""
    facts = self._index.facts.get(name)
    if facts is None or not facts.match(os.stat(self._directory / name)):
      return None
    return facts

  def note(self, name: str, facts: Facts) -> None:
    """Notes what is known of a new file."""
    self._index.add(name, facts)

  def tidy(
    self,
    facts: dict[str, Facts],
    spoiled: Mapping[str, Exception],
    log: Callable[[str], object],
  ) -> None:
    """Writes what opening a store may have to write, unless another writes.

    Args:
      facts: of the sound files, by name.
      spoiled: why the others are not.
      log: takes a line of text for each of those.
    """
    mine = None if self._reading else self._claim_to_tidy()
    if mine is None:
      self._left_out = set(spoiled)
      for name, error in spoiled.items():
        log(f'damaged episode {self._directory / name} left out: {error}')
      return
    atomic.remove_leftovers(self._directory)
    self.deleted.finish()
    match_metadata(self._directory, self.metadata)
    for name, error in spoiled.items():
      target = self._place_aside(name)
      os.replace(self._directory / name, target)
      log(f'damaged episode set aside in {target}: {error}')
    if facts != self._index.facts or not self._index.whole:
      self._index.rewrite(facts)

  def _claim_to_tidy(self) -> claim.Claim | None:
    """Claims the folder, unless another program has it or nobody may write."""
    try:
      return claim.take(self._directory)
    except claim.ClaimError:
      return None
    except OSError as error:
      if error.errno not in _READ_ONLY:
        raise
      return None

  def _place_aside(self, name: str) -> pathlib.Path:
    """Returns where a damaged file goes: over no other, and in here."""
    folder = self._directory / _DAMAGED
    if folder.is_symlink():
      raise StoreError(f'{folder} is a link: damaged episodes go in there')
    folder.mkdir(exist_ok=True)
    target = folder / name
    for count in itertools.count(1):
      if not os.path.lexists(target):
        return target
      target = folder / f'{name}.{count}'

  def claim(self, known: Callable[[], Mapping[str, object]]) -> None:
    """Sees to it that no other program writes, or has done so meanwhile.

    Two programs would give the same numbers to their episodes.

    Args:
      known: returns the files that are known, by name.

    Raises:
      StoreError: there is another, or this is for reading.
    """
    if self._reading:
      raise StoreError(f'{self._directory} was opened for reading alone')
    try:
      # Anew each time: a child of this process has none.
      held = claim.take(self._directory, wait_seconds=_WAIT_SECONDS)
    except claim.ClaimError as error:
      raise StoreError(str(error)) from error
    if held.writer is not self._me:
      expected = known().keys() | self._left_out
      for name in self.names():
        own = episode_files.number_in(name) is not None
        if own and name not in expected:
          raise StoreError(
            f'another program has written episodes into {self._directory} '
            'since this one opened it: start again'
          )
      match_metadata(self._directory, self.metadata)
      held.writer = self._me
    self._claim = held
