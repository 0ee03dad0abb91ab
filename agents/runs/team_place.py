"""Where a process is among those that learn together, before TensorFlow is.

One process for all GPUs of a machine; without a GPU a process for each learner,
on loopback, started by the first; or the processes that the user has started,
one a machine, each told by TF_CONFIG of all of them and which it is:

  {"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]},
   "task": {"type": "worker", "index": 0}}
"""

import dataclasses
import json
import os
import pathlib
import re
import socket
from collections.abc import Mapping
from typing import Any

import ml_collections

from worldmodels import errors

VARIABLE = 'TF_CONFIG'
_ADDRESS = re.compile(r'([\w.-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})')
_JOBS = ('chief', 'worker')


class PlaceError(errors.UserError, ValueError):
  """No learners can be as they are asked for; the message is one line."""


@dataclasses.dataclass(frozen=True)
class Place:
  """The processes that learn together, and which of them this is.

  Attributes:
    learners: replicas in all.
    addresses: HOST:PORT of each process; none where there is but one.
    number: of this process; 0 leads.
    starts: whether this process starts the others.
  """

  learners: int = 1
  addresses: tuple[str, ...] = ()
  number: int = 0
  starts: bool = False

  @property
  def local(self) -> int:
    """Replicas of each process."""
    return self.learners // max(1, len(self.addresses))

  def check(
    self, config: ml_collections.ConfigDict, collectors: bool = False
  ) -> None:
    """Checks that a config can be shared out.

    Args:
      config: of the run.
      collectors: whether episodes come from --collectors meanwhile.

    Raises:
      PlaceError: it cannot; the message says by which key.
    """
    if self.learners == 1:
      return
    starts = config.get('learner', {}).get('starts', 0)
    for key, value in (
      ('train.batch', config.train.batch),
      (*('learner.starts', starts),),
    ):
      if value % self.learners:
        least = value - value % self.learners
        fits = ' or '.join(str(x) for x in (least, least + self.learners) if x)
        raise PlaceError(
          f'{key} is {value}, which {self.learners} learners cannot share '
          f'evenly: --config.{key}={fits}, or another --learners'
        )
    if config.store.capacity and (collectors or config.train.overlap):
      or_else = 'no --collectors' if collectors else 'train.overlap=false'
      raise PlaceError(
        f'--learners={self.learners} cannot learn from a store that drops '
        f'episodes meanwhile: store.capacity=0, or {or_else}'
      )

  def variable(self, number: int) -> str:
    """Returns what TF_CONFIG is for the process of a number."""
    task = {'type': 'worker', 'index': number}
    return json.dumps({'cluster': {'worker': self.addresses}, 'task': task})


def of(learners: int, variables: Mapping[str, str] = os.environ) -> Place:
  """Returns the place of this process.

  Args:
    learners: that are asked for.
    variables: of the environment.

  Raises:
    PlaceError: what they say makes no sense.
  """
  if learners == 1:
    return Place()
  if variables.get(VARIABLE, '').strip():
    return _told(learners, variables[VARIABLE])
  if gpus(variables):
    return Place(learners)
  return Place(learners, tuple(_free_addresses(learners)), starts=True)


def gpus(variables: Mapping[str, str]) -> bool:
  """Tells whether there is a GPU here that programs would use."""
  visible = variables.get('CUDA_VISIBLE_DEVICES')
  if visible is not None:
    return bool(visible.strip()) and not visible.strip().startswith('-1')
  return any(pathlib.Path('/dev').glob('nvidia[0-9]*'))


def _told(learners: int, text: str) -> Place:
  """Returns the place that TF_CONFIG says."""
  cluster, task = _parts(text)
  unknown = cluster.keys() - {*_JOBS}
  if unknown:
    raise _wrong(
      f'has a job {sorted(unknown)[0]!r}; learners are of "worker" and "chief"'
    )
  places = [
    (job, index, address)
    for job in _JOBS
    for index, address in enumerate(_addresses(job, cluster.get(job, [])))
  ]
  addresses = tuple(address for *_, address in places)
  if not addresses:
    raise _wrong('names no worker in "cluster"')
  if len({*addresses}) < len(addresses):
    raise _wrong('gives one address to two processes')
  mine = task.get('type'), task.get('index')
  known = [place[:2] for place in places]
  if mine not in known or isinstance(mine[1], bool):
    raise _wrong(
      f'says that this is {mine[0]} {mine[1]}; there are '
      f'{", ".join(f"{job} {index}" for job, index in known)}'
    )
  if learners % len(addresses):
    raise PlaceError(
      f'--learners={learners}, but {VARIABLE} names {len(addresses)} processes:'
      ' each has as many learners as the others'
    )
  return Place(learners, addresses, known.index(mine))


def _parts(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
  """Returns the cluster and the task that a TF_CONFIG has."""
  try:
    found = json.loads(text)
  except (ValueError, RecursionError) as error:
    raise _wrong(f'is no JSON ({error})') from error
  parts = []
  for key in ('cluster', 'task'):
    part = found.get(key) if isinstance(found, dict) else None
    if not isinstance(part, dict):
      raise _wrong(f'has no object "{key}"')
    parts.append(part)
  return parts[0], parts[1]


def _addresses(job: str, found: object) -> list[str]:
  """Returns the addresses of a job."""
  if not isinstance(found, list):
    raise _wrong(f'has no list of addresses for "{job}"')
  for address in found:
    matched = isinstance(address, str) and _ADDRESS.fullmatch(address)
    if not matched or not 0 < int(matched[2]) < 2**16:
      raise _wrong(f'has the address {address!r:.60}; it is HOST:PORT')
  return found


def _wrong(problem: str) -> PlaceError:
  return PlaceError(f'{VARIABLE} {problem}')


def _free_addresses(count: int) -> list[str]:
  """Returns addresses of loopback at which nobody listens."""
  taken = [socket.socket() for _ in range(count)]
  try:
    for each in taken:
      each.bind(('127.0.0.1', 0))
    return [f'127.0.0.1:{each.getsockname()[1]}' for each in taken]
  finally:
    for each in taken:
      each.close()
