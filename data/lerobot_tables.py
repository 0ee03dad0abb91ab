"""Reads the tables of LeRobot v3.0, with pyarrow."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from worldmodels.data import reading
from worldmodels.data import recordings
from worldmodels.data import rows
from worldmodels.data.recordings import RecordingError

if TYPE_CHECKING:
  import pyarrow

# Of a file in a part of the dataset.
PLACE = 'chunk-{:03d}/file-{:03d}'


def episodes(path: pathlib.Path) -> list[dict[str, Any]]:
  """Returns the rows of meta/episodes, in order."""
  keys = ('episode_index', 'length', 'data/chunk_index', 'data/file_index')
  found = []
  for file in sorted((path / 'meta' / 'episodes').glob('*/*.parquet')):
    with _opened(file) as table:
      kept = [
        name
        for name in table.schema_arrow.names
        if name in keys or name.startswith('videos/')
      ]
      found += table.read(columns=kept).to_pylist()
  for row in found:
    for key in keys:
      if not reading.is_count(row.get(key)):
        raise RecordingError(
          f'{path}/meta/episodes is damaged: {key} is {row.get(key)!r}'
        )
  return sorted(found, key=lambda row: row['episode_index'])


def frames(
  path: pathlib.Path, place: dict[str, Any], columns: list[str]
) -> 'pyarrow.Table':
  """Returns the rows of an episode, in order.

  Args:
    path: of the dataset.
    place: of the episode, a row of `episodes`.
    columns: that are read.
  """
  chunk, number = place['data/chunk_index'], place['data/file_index']
  file = path / 'data' / f'{PLACE.format(chunk, number)}.parquet'
  wanted = ['episode_index', 'frame_index', *columns]
  with _opened(file) as parquet:
    lacking = [x for x in wanted if x not in parquet.schema_arrow.names]
    if lacking:
      raise RecordingError(f'{file.name} has no {lacking[0]!r}')
    parts = []
    for group in range(parquet.num_row_groups):
      if not _may_hold(parquet.metadata.row_group(group), place):
        continue
      numbers = parquet.read_row_group(group, columns=['episode_index'])
      mine = numbers['episode_index'].to_numpy() == place['episode_index']
      if mine.any():
        rows_of_group = parquet.metadata.row_group(group)
        recordings.check_size('it', rows_of_group.total_byte_size)
        table = parquet.read_row_group(group, columns=wanted)
        parts.append(table.filter(mine))
    if not parts:
      raise RecordingError(f'{file.name} has none of its frames')
    import pyarrow

    table = pyarrow.concat_tables(parts).sort_by('frame_index')
  if len(table) != place['length']:
    raise RecordingError(
      f'{file.name} has {len(table)} of its {place["length"]} frames'
    )
  return table


def _may_hold(
  group: 'pyarrow.parquet.RowGroupMetaData', place: dict[str, Any]
) -> bool:
  """Returns whether an episode may be in a group, by what is noted of it."""
  for column in map(group.column, range(group.num_columns)):
    if column.path_in_schema == 'episode_index':
      noted = column.statistics
      if noted is not None and noted.has_min_max:
        return noted.min <= place['episode_index'] <= noted.max
  return True


def numbers(table: 'pyarrow.Table', key: str) -> np.ndarray:
  """Returns a column [L, ...] of numbers.

  Raises:
    RecordingError: it holds something else.
  """
  values = table[key].to_pylist()
  try:
    found = np.array(values)
  except ValueError as error:  # Lists of unlike lengths.
    raise RecordingError(f'{key} has unlike rows') from error
  if found.dtype.kind not in rows.NUMBERS:
    raise RecordingError(f'{key} holds {found.dtype}, not numbers')
  return found


def files(table: 'pyarrow.Table', key: str) -> list[bytes]:
  """Returns the images of a column, as files.

  Raises:
    RecordingError: one is not there.
  """
  found = []
  for value in table[key].to_pylist():
    content = value.get('bytes') if isinstance(value, dict) else value
    if not isinstance(content, bytes):
      raise RecordingError(f'{key} has a frame without an image')
    found.append(content)
  return found


def film(path: pathlib.Path, place: dict[str, Any], key: str) -> pathlib.Path:
  """Returns the path of the film of a camera that an episode is in.

  Raises:
    RecordingError: nothing says which it is.
  """
  chunk, number, start = (
    place.get(f'videos/{key}/{name}')
    for name in ('chunk_index', 'file_index', 'from_timestamp')
  )
  if not (reading.is_count(chunk) and reading.is_count(number)):
    raise RecordingError(f'nothing says in which film of {key} it is')
  if not reading.is_number(start) or start < 0:
    raise RecordingError(f'it begins at {start!r} s of a film')
  return path / 'videos' / key / f'{PLACE.format(chunk, number)}.mp4'


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator['pyarrow.parquet.ParquetFile']:
  """Opens a table in a `with` statement; RecordingError for a damaged one."""
  with recordings.extra('lerobot', 'pyarrow'):
    import pyarrow
    import pyarrow.parquet
  try:
    with (
      reading.open_regular(path) as file,
      pyarrow.parquet.ParquetFile(file) as table,
    ):
      yield table
  except FileNotFoundError as error:
    raise RecordingError(f'there is no {path}') from error
  except pyarrow.ArrowException as error:
    text = ' '.join(str(error).split())
    raise RecordingError(f'{path} is damaged: {text}') from error
