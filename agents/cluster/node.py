"""What is asked of a node before it gets a command, and what it answers.

It has to have this package, and the same: one that trains with other code makes
runs that are not those of the others. And it has to see the folder in which the
runs lie. All of this is asked of the node itself.
"""

import contextlib
import dataclasses
import functools
import hashlib
import importlib.util
import os
import pathlib
import socket
import time
from importlib import metadata

# For a network file system to show a file that another machine has just made.
_SEEN_SECONDS = 5.0
_PARTS = ('', 'agents', 'configs', 'data')
# Of the checkout alone; the wheel has none of them.
_STARTERS = ('agents/run/', 'data/check/')


@dataclasses.dataclass(frozen=True)
class Token:
  """A file that was made where the sweep is.

  Attributes:
    path: of it.
    text: that is in it.
    seconds: that it may take to be seen.
  """

  path: str
  text: str
  seconds: float = _SEEN_SECONDS


def complaint(token: Token, code: str) -> str:
  """Returns what is wrong with this node, in a few words; '' for nothing.

  Args:
    token: that is to be seen here.
    code: that is to be run here: `code()` of the one who asks.
  """
  mine = identity()
  if mine != code:
    return f'has worldmodels {mine} where {code} is wanted: install the same'
  folder = os.path.dirname(token.path)
  end = time.monotonic() + token.seconds
  while _read(token.path) != token.text:
    if time.monotonic() > end:
      return (
        f'does not see the files in {folder}: the runs of a sweep lie on a '
        'file system that all nodes have under the same path'
      )
    time.sleep(0.1)
  if not os.access(folder, os.W_OK | os.X_OK):
    return f'may not write into {folder}'
  return ''


def sizes(folder: pathlib.Path) -> dict[str, int]:
  """Returns {name: bytes} of the files in a folder, as they are seen here.

  Each is opened: a network file system then asks its server how it is.
  """
  found = {}
  with contextlib.suppress(OSError):
    for path in folder.iterdir():
      with contextlib.suppress(OSError), open(path, 'rb') as file:
        found[path.name] = os.fstat(file.fileno()).st_size
  return found


def name() -> str:
  """Returns what this node is called."""
  return socket.gethostname()


def number() -> str:
  """Returns the number that Ray has for this node."""
  import ray

  return ray.get_runtime_context().get_node_id()


@functools.cache
def identity() -> str:
  """Returns what tells this package from another: its version, and its code."""
  try:
    version = metadata.version('worldmodels-tf')
  except metadata.PackageNotFoundError:
    version = 'of a checkout'
  return f'{version} ({_digest()[:8]})'


def _digest() -> str:
  """Returns a digest of the code, wherever its parts lie."""
  found = hashlib.sha256()
  for part in _PARTS:
    spec = importlib.util.find_spec('.'.join(filter(None, (_root(), part))))
    root = pathlib.Path(spec.submodule_search_locations[0])
    for path in sorted(root.rglob('*.py')):
      place = f'{part}/{path.relative_to(root).as_posix()}'
      # In a wheel the parts lie inside of the first.
      inside = not part and place.split('/')[1] in _PARTS
      if inside or place.startswith(_STARTERS):
        continue
      found.update(f'{place}\n'.encode())
      found.update(path.read_bytes())
  return found.hexdigest()


def _root() -> str:
  return __name__.partition('.')[0]


def _read(path: str) -> str:
  try:
    return pathlib.Path(path).read_text()
  except (OSError, ValueError):
    return ''
