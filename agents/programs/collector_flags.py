"""The flags of `train` that have episodes collected elsewhere, on Ray."""

import dataclasses
from collections.abc import Callable

from absl import flags

from worldmodels import errors
from worldmodels.agents.cluster import engine

_MOST = 10_000
_LEASE_SECONDS, _LONGEST = 600, 7 * 24 * 3600

# The flags are of the program that calls `define`, and shown in its help.
flags.disclaim_key_flags()


@dataclasses.dataclass(frozen=True)
class Collectors:
  """Who collects.

  Attributes:
    count: of collectors; 0 collects here.
    cluster: HOST:PORT of a cluster to join; none starts one.
    lease_timeout: s that an episode may take.
  """

  count: int
  cluster: str
  lease_timeout: float


def define() -> Callable[[], Collectors]:
  """Defines them; returns a function of what they say, checked."""
  count = flags.DEFINE_integer(
    'collectors',
    None,
    'Collects episodes in so many processes of Ray while one learns; '
    'without it they are collected here. docs/cluster.md',
    lower_bound=1,
    upper_bound=_MOST,
  )
  cluster = flags.DEFINE_string(
    'cluster',
    None,
    'HOST:PORT of the head of a Ray cluster to join; without it a Ray is '
    'started on this machine, for this machine alone.',
  )
  lease = flags.DEFINE_integer(
    'lease_timeout',
    _LEASE_SECONDS,
    'Seconds that a collector may take for an episode before it is ended and '
    'another one collects it.',
    lower_bound=1,
    upper_bound=_LONGEST,
  )

  def values() -> Collectors:
    address = cluster.value or ''
    if count.value is None:
      if address:
        raise errors.OptionError(
          '--cluster', f'is {address}, but nothing is asked of it: --collectors'
        )
      if lease.present:
        raise errors.OptionError('--lease_timeout', 'goes with --collectors')
      return Collectors(0, '', lease.value)
    engine.check(address)
    return Collectors(count.value, address, lease.value)

  return values
