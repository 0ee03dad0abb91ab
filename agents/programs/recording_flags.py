"""Flags that say how recorded data are read; of `convert` and `fit`."""

import contextlib
import math
import pathlib
from collections.abc import Iterator

from absl import flags

from worldmodels import errors
from worldmodels import kinds
from worldmodels.data import recordings
from worldmodels.data.recorded import Recorded
from worldmodels.data.recordings import Recordings

# The flags are of the program that calls `define`, and shown in its help.
flags.disclaim_key_flags()


class Flags:
  """The flags --from, --image and --action_bounds.

  Args:
    kind, image, bounds: holders of the flags.
  """

  def __init__(
    self,
    kind: flags.FlagHolder,
    image: flags.FlagHolder,
    bounds: flags.FlagHolder,
  ):
    self._kind, self._image, self._bounds = kind, image, bounds

  def find(self, path: pathlib.Path) -> Recordings:
    """Finds the episodes at a path.

    Raises:
      RecordingError: there are none.
      OptionError: a flag has a wrong value.
    """
    bounds_of(self._bounds.value)  # Found before the work.
    with named('--from'):
      return recordings.find(path, self._kind.value, self._image.value)

  def read(
    self, source: Recordings, path: pathlib.Path, size: int = 0
  ) -> Recorded:
    """Returns the episodes by rows.py, with images of `size` pixels."""
    bounds = bounds_of(self._bounds.value)
    return Recorded(source, path, size=size, bounds=bounds)


def define() -> Flags:
  """Defines the flags."""
  listed = ', '.join(kinds.names(recordings.PACKAGE, 'read'))
  return Flags(
    flags.DEFINE_string(
      'from',
      None,
      f'Format of --data: {listed}, module:function; by default recognized.',
    ),
    flags.DEFINE_string(
      'image', None, 'What the images are called, where there are several.'
    ),
    flags.DEFINE_list(
      'action_bounds',
      None,
      'LOW,HIGH: what actions -1 and 1 are; by default as the data say, else '
      'the range in them if some lie beyond [-1, 1].',
    ),
  )


@contextlib.contextmanager
def named(flag: str) -> Iterator[None]:
  """Names a flag in the error of a format that does not exist."""
  try:
    yield
  except errors.OptionError as error:
    if error.option != 'kind':
      raise
    raise errors.OptionError(flag, error.problem) from error


def bounds_of(values: list[str] | None) -> tuple[float, float] | None:
  """Returns the numbers of --action_bounds.

  Raises:
    OptionError: they are no bounds.
  """
  if values is None:
    return None
  try:
    low, high = map(float, values)
  except ValueError:
    low = high = math.nan
  if not (low < high and math.isfinite(low) and math.isfinite(high)):
    raise errors.OptionError(
      '--action_bounds', f'is {",".join(values)!r}; it is LOW,HIGH'
    )
  return low, high
