"""How many commands a cluster takes at a time, and what each of them gets."""

import dataclasses
import math
from collections.abc import Sequence

from worldmodels import errors


@dataclasses.dataclass(frozen=True)
class Node:
  """What Ray says that a machine has.

  Attributes:
    name: its address.
    number: of Ray.
    cores: logical processors.
    gpus: of them.
  """

  name: str
  number: str
  cores: int
  gpus: int


@dataclasses.dataclass(frozen=True)
class Size:
  """What each command gets.

  Attributes:
    jobs: commands at a time.
    cores: of each.
    gpus: of each; a part of one is shared.
  """

  jobs: int
  cores: int
  gpus: float


def size(
  nodes: Sequence[Node],
  runs: int,
  jobs: int | None,
  cores: int | None,
  gpus: float | None,
) -> Size:
  """Returns how many commands run at a time, and what each gets.

  Cores are shared out: each gets as many as still let so many run at a time.

  Args:
    nodes: that take commands; none where a cluster has yet to grow.
    runs: that there are.
    jobs: that the user wants at a time; None for as many as there is room for.
    cores: that each is to get; None for the share.
    gpus: that each is to get; None for one, or a part of one where the user
      wants more jobs than there are GPUs.

  Raises:
    OptionError: no node has as much.
  """
  wanted = min(jobs or runs, runs)
  if gpus is None:
    there = sum(node.gpus for node in nodes)
    gpus = min(1.0, 1 / math.ceil((jobs or 1) / there)) if there else 0.0
  if not nodes:
    return Size(wanted, cores or 1, gpus)
  for option, given, most in (
    ('--job_gpus', gpus, max(node.gpus for node in nodes)),
    ('--job_cores', cores or 1, max(node.cores for node in nodes)),
  ):
    if given > most:
      raise errors.OptionError(
        option, f'is {given:g}; no node of the cluster has more than {most}'
      )
  if cores is None:
    room = min(wanted, _room(nodes, 1, gpus))
    cores = max(node.cores for node in nodes)
    while cores > 1 and _room(nodes, cores, gpus) < room:
      cores -= 1
  if not _room(nodes, cores, gpus):
    raise errors.OptionError(
      '--job_cores',
      f'is {cores} and --job_gpus {gpus:g}; no node of the cluster has both',
    )
  return Size(wanted, cores, gpus)


def _room(nodes: Sequence[Node], cores: int, gpus: float) -> int:
  """Returns how many commands the nodes take at a time."""
  found = 0
  for node in nodes:
    here = node.cores // cores
    if gpus:
      here = min(here, _of_gpus(node.gpus, gpus))
    found += here
  return found


def _of_gpus(there: int, each: float) -> int:
  """Returns how many commands so many GPUs take: a part is of one of them."""
  if each >= 1:
    return int(there / each)
  return there * int(1 / each + 1e-9)
