"""Keeps how old the parameters were that acted in each episode.

The age of an episode is the count of updates between the parameters that acted
in it and those of the learner when it arrived. It belongs to the episode, so it
has a line in a file beside the store (RUN/collected.jsonl), which is written
before the episode is:

  {"number": 12, "acted": 400, "arrived": 520, "seconds": 3.1, "collector": 2}

Who knows nothing of collectors does not read it. A line that a kill has cut
short is left out, and the last line of a number counts.
"""

import json
import pathlib
from typing import Any

from worldmodels.data import atomic
from worldmodels.data import reading

_LARGEST = 1 << 30  # bytes of the file


class Ages:
  """The ages of the episodes of a run.

  Args:
    path: of the file.
  """

  def __init__(self, path: pathlib.Path):
    self._path = path
    self._lines: dict[int, dict[str, Any]] = {}
    try:
      content = reading.bytes_in(path, _LARGEST)
    except FileNotFoundError:
      content = b''
    for line in content.splitlines():
      self._take(line)
    # What is written next begins a line of its own.
    self._begin = '\n' if content and not content.endswith(b'\n') else ''

  def note(
    self, number: int, acted: int, arrived: int, seconds: float, collector: int
  ) -> None:
    """Writes the line of an episode, before the episode itself.

    Args:
      number: of the episode.
      acted: updates of the parameters that acted.
      arrived: updates when it arrived.
      seconds: that it took.
      collector: number of who collected it.
    """
    line = dict(
      number=number,
      acted=acted,
      arrived=arrived,
      seconds=round(seconds, 3),
      collector=collector,
    )
    with atomic.naming(self._path), open(self._path, 'a') as file:
      file.write(f'{self._begin}{json.dumps(line)}\n')
    self._begin = ''
    self._lines[number] = line

  def values(self, number: int) -> dict[str, float]:
    """Returns the figures of an episode; none if nobody noted them."""
    line = self._lines.get(number)
    if line is None:
      return {}
    return {
      'age': line['arrived'] - line['acted'],
      'acting_seconds': line['seconds'],
    }

  def _take(self, line: bytes) -> None:
    """Takes a line in, if it is one of `note`."""
    try:
      found = reading.parsed(line, self._path)
    except reading.FileError:
      return
    if not isinstance(found, dict):
      return
    counts = (found.get(key) for key in ('number', 'acted', 'arrived'))
    if all(map(reading.is_count, counts)) and reading.is_number(
      found.get('seconds')
    ):
      self._lines[found['number']] = found
