"""Says what was asked for, and what would fit, where memory does not suffice.

NumPy and TensorFlow name the array for which there was none. What of the config
asks for it is known only to who was at work.
"""

import contextlib
import math
import os
import re
import sys
from collections.abc import Iterator, Mapping

import ml_collections

from worldmodels import errors

# Of each work, the keys whose product its memory grows with.
LEARNING = ('train.batch', 'train.length')
ACTING = ('planner.candidates', 'planner.horizon', 'planner.particles')
MEASURING = ('evaluate.episodes', 'evaluate.horizon')

_SHAPE = re.compile(r'shape ?[\[(]([\d, ]*)[\])] and (?:data )?type (\w+)')
_BYTES = {'bool': 1, 'half': 2, 'float': 4, 'double': 8, 'uint8': 1, 'int8': 1}
_BITS = re.compile(r'(?:bfloat|float|int|uint)(\d+)')


class OutOfMemoryError(errors.UserError):
  """There is not enough memory; the message is one line."""


@contextlib.contextmanager
def during(
  work: str, config: ml_collections.ConfigDict, keys: tuple[str, ...]
) -> Iterator[None]:
  """Turns the errors of too little memory into one that names keys.

  Args:
    work: what is done meanwhile, as in `no room for an update`.
    config: of the run.
    keys: of the config, that the memory grows with; absent ones are left out.

  Raises:
    OutOfMemoryError: there was not enough.
  """
  try:
    yield
  except Exception as error:  # noqa: BLE001 (TensorFlow's is not known here)
    if not is_out_of_memory(error):
      raise
    there = {key: _value(config, key) for key in keys}
    there = {key: value for key, value in there.items() if value is not None}
    elites, ahead, frames, steps = (
      _value(config, key) or 0
      for key in (
        *('planner.elites', 'overshooting.steps'),
        *('agent.frames', 'learner.steps'),
      )
    )
    # As contradictions.py has them.
    least = {
      'planner.candidates': max(1, elites),
      'train.length': max(ahead + 2, frames + steps),
    }
    raise OutOfMemoryError(explain(error, work, there, least)) from error


def is_out_of_memory(error: BaseException) -> bool:
  """Tells whether NumPy, TensorFlow or Python found too little memory."""
  if isinstance(error, MemoryError):
    return True
  tensorflow = sys.modules.get('tensorflow')
  return tensorflow is not None and isinstance(
    error, tensorflow.errors.ResourceExhaustedError
  )


def explain(
  error: BaseException,
  work: str = 'this',
  keys: Mapping[str, int] | None = None,
  least: Mapping[str, int] | None = None,
) -> str:
  """Returns a line that says what was asked for and what would fit.

  Args:
    error: of NumPy, TensorFlow or Python.
    work: what was done.
    keys: {key: value} of what the memory grows with; those that cannot be
      lower are named only where no other is.
    least: {key: value} below which a config is refused; 1 for others.
  """
  least = {key: (least or {}).get(key, 1) for key in keys or {}}
  asked, free = asked_bytes(str(error)), free_bytes(_device(str(error)))
  known = []
  if asked:
    known.append(f'an array of {_size(asked)} was asked for')
  if free is not None:
    known.append(f'{_size(free)} are free')
  text = f'out of memory: no room for {work}'
  text += f'; {", ".join(known)}' if known else ''
  if not keys:
    return f'{text}: ask for smaller batches, horizons or layers'
  # More arrays of that size are needed at a time: some eight is a guess.
  share = 0.5
  if asked and free is not None:
    share = min(share, free / (8 * asked))
  first, *others = [key for key in keys if keys[key] > least[key]] or keys
  fits = max(least[first], math.floor(keys[first] * share))
  also = f' (or lower {" or ".join(others)})' if others else ''
  return (
    f'{text}: {first} is {keys[first]}, --config.{first}={fits} may fit{also}'
  )


def asked_bytes(message: str) -> int | None:
  """Returns the size of the array that a message of either library names."""
  found = _SHAPE.search(message)
  if found is None:
    return None
  sizes = [int(size) for size in found[1].split(',') if size.strip()]
  bits = _BITS.fullmatch(found[2])
  item = int(bits[1]) // 8 if bits else _BYTES.get(found[2], 4)
  return math.prod(sizes) * item


def free_bytes(device: str | None = None) -> int | None:
  """Returns the bytes that this process may still take, if they are known.

  Args:
    device: a GPU as TensorFlow calls it, or None for the memory of the host.
  """
  if device is not None:
    return None  # Most of its memory is TensorFlow's from the start.
  found = []
  with contextlib.suppress(OSError, ValueError, IndexError):
    with open('/proc/meminfo') as file:
      lines = dict(line.split(':') for line in file)
    found.append(1024 * int(lines['MemAvailable'].split()[0]))
  with contextlib.suppress(OSError, ValueError):
    folder = '/sys/fs/cgroup'
    with (
      open(os.path.join(folder, 'memory.max')) as most,
      open(os.path.join(folder, 'memory.current')) as now,
    ):
      used = int(now.read()) - _reclaimable(folder)
      found.append(max(0, int(most.read()) - used))
  return min(found, default=None)


def _reclaimable(folder: str) -> int:
  """Returns the bytes of a control group that it counts and can take back."""
  found = 0
  with contextlib.suppress(OSError, ValueError):
    with open(os.path.join(folder, 'memory.stat')) as file:
      for line in file:
        name, _, size = line.partition(' ')
        if name in ('inactive_file', 'slab_reclaimable'):
          found += int(size)
  return found


def _device(message: str) -> str | None:
  """Returns the GPU that a message is about, if it is about one."""
  found = re.search(r'GPU:\d+', message)
  return found and found[0]


def _value(config: ml_collections.ConfigDict, key: str) -> int | None:
  """Returns the value of a key such as `train.batch`, if it is there."""
  for name in key.split('.'):
    config = config.get(name) if hasattr(config, 'get') else None
  return config if isinstance(config, int) else None


def _size(count: float) -> str:
  return f'{count / 1e9:.1f} GB' if count >= 1e8 else f'{count / 1e6:.1f} MB'
