"""Keeps what is known of the files of a store in a file beside them.

Opening a store would else read every episode. It is no more than a note: an
episode whose file has another size or time than is written there is verified
again, and what cannot be read counts as absent. One line for each episode, with
a checksum, so that the next one is simply added; and one before it for each new
set of columns, which most episodes share.
"""

import json
import math
import os
import pathlib
import zlib
from collections.abc import Iterable, Mapping

import numpy as np

from worldmodels.data import atomic
from worldmodels.data import reading
from worldmodels.data import rows
from worldmodels.data.episode_files import Columns
from worldmodels.data.episode_files import Facts

_NAME = 'index.jsonl'
# Another one when more is asked of an episode: then all are verified again.
_RULES = 2
_MOST_BYTES = 1 << 30


class IndexFile:
  """The index file of a store.

  Attributes:
    facts: {name of a file: Facts}, as read.
    whole: whether every line was sound.

  Args:
    directory: of the store.
  """

  def __init__(self, directory: pathlib.Path):
    self._path = directory / _NAME
    self._columns: list[Columns] = []
    # Files that are alike share one object, however many they are.
    self._texts: dict[str, int] = {}
    self._writes = True
    self.facts: dict[str, Facts] = {}
    self.whole = True
    try:
      lines = reading.bytes_in(self._path, _MOST_BYTES).split(b'\n')
    except (OSError, ValueError):
      lines = [b'']
    self.whole = not lines.pop()  # Else a kill has cut the last one.
    for line in lines:
      self.whole &= self._read(line)

  def add(self, name: str, facts: Facts) -> None:
    """Adds a line for a new file, if that can be written."""
    if not self._writes:
      return
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
      descriptor = os.open(self._path, flags, 0o666)
      with os.fdopen(descriptor, 'wb') as file:
        file.write(b''.join(self._lines(name, facts)))
    except OSError:
      self._writes = False  # The next start writes all of it.

  def rewrite(self, facts: Mapping[str, Facts]) -> None:
    """Writes the whole file, if that can be written."""
    self._columns, self._texts = [], {}
    lines = [b''.join(self._lines(*item)) for item in facts.items()]
    try:
      atomic.write(self._path, lambda file: file.writelines(lines), sweep=False)
    except OSError:
      self._writes = False

  def _lines(self, name: str, facts: Facts) -> Iterable[bytes]:
    columns = {
      key: [dtype.str, *shape] for key, (dtype, shape) in facts.columns.items()
    }
    text = json.dumps(columns)
    if text not in self._texts:
      self._texts[text] = len(self._columns)
      self._columns.append(facts.columns)
      yield _line([_RULES, columns])
    yield _line(
      [
        *(name, facts.size, facts.modified, facts.changed, facts.length),
        *(facts.total_reward, facts.env_steps),
        *(self._texts[text], facts.offsets),
      ]
    )

  def _read(self, line: bytes) -> bool:
    """Reads a line; says whether it is sound."""
    checksum, _, content = line.partition(b' ')
    if checksum != b'%08x' % zlib.crc32(content):
      return False
    try:
      values = json.loads(content)
      if len(values) == 2:
        self._read_columns(*values)
        return True
      name, *rest, number, offsets = values
      facts = Facts(*rest, self._columns[number], tuple(offsets))
      _check(facts)
      self.facts[name] = facts
    except (ValueError, TypeError, LookupError, RecursionError):
      return False
    return True

  def _read_columns(self, rules: int, columns: dict[str, list]) -> None:
    if rules != _RULES or not isinstance(columns, dict):
      raise ValueError('of another version')
    found = {
      key: (np.dtype(dtype), tuple(shape))
      for key, (dtype, *shape) in columns.items()
    }
    rows.check_shapes({k: (d, (1, *shape)) for k, (d, shape) in found.items()})
    self._texts[json.dumps(columns)] = len(self._columns)
    self._columns.append(found)


def _line(values: list) -> bytes:
  content = json.dumps(values).encode()
  return b'%08x %s\n' % (zlib.crc32(content), content)


def _check(facts: Facts) -> None:
  """Raises ValueError if a file of that size cannot hold those arrays."""
  for (dtype, shape), offset in zip(
    facts.columns.values(), facts.offsets, strict=True
  ):
    bytes_of_row = math.prod(shape) * dtype.itemsize
    end = (offset or 0) + facts.length * bytes_of_row
    if offset is not None and not 0 < end <= facts.size:
      raise ValueError('it ends behind the end of the file')
  steps = facts.env_steps
  counted = steps is None or (type(steps) is int and steps >= 0)
  if facts.length < 1 or not math.isfinite(facts.total_reward) or not counted:
    raise ValueError('it is no episode')
