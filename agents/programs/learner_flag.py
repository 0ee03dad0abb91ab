"""The flag of `train` that has several devices or processes learn as one."""

import os
import signal
import sys
import typing
from collections.abc import Callable

import ml_collections
from absl import flags

from worldmodels.agents.programs import bound
from worldmodels.agents.runs import team_place
from worldmodels.agents.runs import team_processes
from worldmodels.agents.runs.run_directory import RunDirectory

if typing.TYPE_CHECKING:
  from worldmodels.agents.runs import team

_MOST = 1024

# The flag is of the program that calls `define`, and shown in its help.
flags.disclaim_key_flags()


def define() -> Callable[[], team_place.Place]:
  """Defines --learners; returns a function of where this process is."""
  count = flags.DEFINE_integer(
    'learners',
    1,
    'Devices or processes that share the batch of every update; the result is '
    'that of one.',
    lower_bound=1,
    upper_bound=_MOST,
  )
  return lambda: team_place.of(count.value, os.environ)


def processes(place: team_place.Place) -> team_processes.Processes:
  """Starts the other processes of `train` that this one starts."""
  # A stopped one is killed as well, and TensorFlow takes SIGTERM.
  return team_processes.Processes(
    place, bound.arguments('train', sys.argv[1:], signal.SIGKILL)
  )


def made(
  place: team_place.Place, processes: team_processes.Processes
) -> 'team.Alone':
  """Returns who does the updates."""
  from worldmodels.agents.runs import team
  from worldmodels.agents.runs import team_workers

  if place.learners == 1:
    return team.Alone()
  if not place.addresses:
    return team.Mirrored(place.learners)
  return team_workers.Workers(place, processes)


def follow(
  config: ml_collections.ConfigDict,
  directory: RunDirectory,
  place: team_place.Place,
) -> None:
  """Learns beside the first learner, which another process is."""
  from worldmodels.agents.runs import operations
  from worldmodels.agents.runs import team_member
  from worldmodels.agents.runs import team_workers

  operations.share_cores(config)
  operations.make_deterministic(config)
  print(f'learner {place.number} of {place.addresses[0]}')
  team_member.follow(team_workers.Workers(place), directory)
