"""Converts recorded episodes from one format to another.

  worldmodels convert --data=DIR --to=minari --out=DIR

The format of --data is recognized; docs/data.md says what each of them is, and
which of its rows the action, reward and image of a step are in. Nothing is
overwritten, and --out is complete or absent.
"""

import time

from absl import flags

from worldmodels import kinds
from worldmodels.agents.programs import recording_flags
from worldmodels.agents.runs import paths
from worldmodels.data import conversion
from worldmodels.data import recordings

_DATA = flags.DEFINE_string(
  'data', None, 'Directory or file of recorded episodes.', required=True
)
_TO = flags.DEFINE_string(
  'to',
  None,
  f'Format to write: {", ".join(kinds.names(recordings.PACKAGE, "write"))}, '
  'module:function.',
  required=True,
)
_OUT = flags.DEFINE_string('out', None, 'A new directory.', required=True)
_SIZE = flags.DEFINE_integer(
  'size',
  0,
  'Height and width of the images, from the middle square; 0 leaves them.',
  lower_bound=0,
  upper_bound=1024,
)
_RECORDED = recording_flags.define()


def main(argv: list[str]) -> None:
  """Converts what --data names."""
  del argv
  data = paths.expanded('--data', _DATA.value)
  out = paths.expanded('--out', _OUT.value)
  conversion.check_out(out)
  with recording_flags.named('--to'):
    conversion.writer(_TO.value)
  source = _RECORDED.find(data)
  print(f'source     {data}: {source.format}, {len(source.names)} episodes')
  start = time.perf_counter()
  episodes = _RECORDED.read(source, data, _SIZE.value)
  size = conversion.write(out, _TO.value, episodes)
  print(
    f'written    {out}: {_TO.value}, {len(episodes)} episodes, '
    f'{size / 1e6:.2f} MB, {time.perf_counter() - start:.1f} s'
  )
