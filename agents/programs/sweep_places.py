"""Where the commands of a sweep run: on this machine, or on a cluster."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator, Sequence

from absl import flags

from worldmodels import errors
from worldmodels.agents.cluster import engine
from worldmodels.agents.cluster import node
from worldmodels.agents.cluster import places
from worldmodels.agents.cluster import survey
from worldmodels.agents.cluster import sweeping
from worldmodels.agents.programs import bound
from worldmodels.agents.runs import machine
from worldmodels.agents.sweeps import local
from worldmodels.data import claim

LOCAL = 'local'  # of --cluster: one that is started here

Place = local.Local | sweeping.Cluster

# The flags are of the program that calls `define`, and shown in its help.
flags.disclaim_key_flags()


def define() -> None:
  """Defines --cluster, --job_cores and --job_gpus."""
  flags.DEFINE_string(
    'cluster',
    None,
    'HOST:PORT of the head of a Ray cluster to run on, which this machine is '
    f'part of; {LOCAL!r} starts one on this machine.',
  )
  flags.DEFINE_integer(
    'job_cores',
    None,
    'Cores of each run, with --cluster; by default what so many runs at a time '
    'leave for each.',
    lower_bound=1,
    upper_bound=4096,
  )
  flags.DEFINE_float(
    'job_gpus',
    None,
    'GPUs of each run, with --cluster, or a part of one; by default 1 where '
    'there are any, and a part where --jobs are more than GPUs.',
    lower_bound=0.0,
    upper_bound=64.0,
  )


def check() -> None:
  """Raises an error for flags that do not suit, or where Ray is missing."""
  values = flags.FLAGS
  if values.cluster is None:
    for name in ('job_cores', 'job_gpus'):
      if values[name].present:
        raise errors.OptionError(f'--{name}', 'goes with --cluster')
    return
  if values.job_gpus and values.job_gpus > 1 and values.job_gpus % 1:
    raise errors.OptionError(
      '--job_gpus', f'is {values.job_gpus:g}; above 1 it is a whole number'
    )
  engine.check(_address())


def path(given: pathlib.Path) -> pathlib.Path:
  """Returns the folder of the sweep, as all nodes have it."""
  return given if flags.FLAGS.cluster is None else given.absolute()


@contextlib.contextmanager
def entered(
  jobs: int | None, runs: int
) -> Iterator[Callable[[pathlib.Path], Place]]:
  """Starts or joins the cluster, if there is to be one, and leaves it.

  Args:
    jobs: that the user wants at a time; None if that is not said.
    runs: that are to be made.

  Yields:
    makes of the folder of the sweep, once that is claimed, where its commands
    run.
  """
  values = flags.FLAGS
  if values.cluster is None or not runs:
    yield lambda root: local.Local(jobs or 1, bound.arguments)
    return
  slots = max(machine.cores(), jobs or 1)
  with engine.Engine(_address(), slots=slots) as joined:

    def sized(nodes: Sequence[places.Node]) -> places.Size:
      return places.size(nodes, runs, jobs, values.job_cores, values.job_gpus)

    size = sized(survey.nodes(joined))

    def place(root: pathlib.Path) -> sweeping.Cluster:
      # Which no other program writes as long as this one has it.
      said = root / claim.NAME
      token = node.Token(str(said), said.read_text())
      found = sweeping.Cluster(joined, size, bound.arguments, token)
      found.size = sized(found.check())  # Without those that were refused.
      return found

    yield place


def _address() -> str:
  given = flags.FLAGS.cluster
  return '' if given == LOCAL else given
