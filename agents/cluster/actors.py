"""The actors of a pool: starts them, says which are there, and ends them.

Ray starts an actor anew that has died. Until it is there again it is asked now
and then; one that Ray has given up is made anew.
"""

import contextlib
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from worldmodels.agents.cluster import actor
from worldmodels.agents.cluster import processes
from worldmodels.agents.cluster import ray_failures
from worldmodels.agents.cluster.engine import ClusterError
from worldmodels.agents.cluster.engine import Engine
from worldmodels.agents.cluster.processes import Process

if TYPE_CHECKING:
  import ray

# One that is being started is asked again after so long.
_AGAIN_SECONDS = 0.5
# How often one may fail to start before the run gives up.
_STARTS = 5
# What Ray says of a call whose caller's machine is lost: that is this one.
_OWNER = "Owner's node has crashed"
_TEXT = 300  # characters of an error that a line quotes


class Actors:
  """Actors of Ray, numbered from 1.

  Attributes:
    count: of them.
    places: processes of those that are there, by number.
    asked: references to answers of those that are not there yet, and numbers.
    log: called with a line for each that does not start.

  Args:
    engine: Ray.
    count: of them.
    settings: that each is made from.
    log: called with a line for each that does not start.
  """

  def __init__(
    self,
    engine: Engine,
    count: int,
    settings: actor.Settings,
    log: Callable[[str], object],
  ):
    self.count = count
    self.log = log
    self.places: dict[int, Process] = {}
    self.asked: dict[ray.ObjectRef, int] = {}
    self._ray = engine.ray
    self._class = self._ray.remote(
      num_cpus=1,
      max_restarts=-1,
      max_task_retries=0,
      scheduling_strategy='SPREAD',
    )(actor.Actor)
    self._settings = settings
    self._actors: dict[int, ray.actor.ActorHandle] = {}
    self._ask_at: dict[int, float] = {}
    self._failures = dict.fromkeys(range(1, count + 1), 0)
    for number in self._failures:
      self._make(number)

  def __getitem__(self, number: int) -> 'ray.actor.ActorHandle':
    return self._actors[number]

  def ask(self) -> None:
    """Asks those that are being started whether they are there."""
    now = time.monotonic()
    for number, when in [*self._ask_at.items()]:
      if when <= now:
        del self._ask_at[number]
        self.asked[self._actors[number].place.remote()] = number

  def answered(self, reference: 'ray.ObjectRef') -> int | None:
    """Takes in the answer of one that was asked; its number if it is there."""
    number = self.asked.pop(reference)
    exceptions = self._ray.exceptions
    try:
      self.places[number] = self._ray.get(reference)
    except exceptions.ActorUnavailableError:
      self._ask_at[number] = time.monotonic() + _AGAIN_SECONDS
    except exceptions.RayError as error:
      check_here(error)
      self._failures[number] += 1
      if self._failures[number] >= _STARTS:
        raise ClusterError(
          f'collector {number} does not start: {cause(error)}'
        ) from error
      self.log(f'collector {number} did not start: {cause(error)}; once more')
      self._make(number)
    else:
      self._failures[number] = 0
      return number
    return None

  def seen(self, number: int, process: Process) -> None:
    """Takes in who has answered: it may have been started anew."""
    if self.places.get(number, process) != process:
      self.log(f'collector {number} died while it waited: it was started anew')
    self.places[number] = process

  def died(self, number: int) -> None:
    """Takes in that one has died; Ray starts it anew."""
    self.places.pop(number, None)
    self._ask_at[number] = time.monotonic() + _AGAIN_SECONDS

  def kill(self, number: int) -> None:
    """Kills one, also if it is stopped or does not listen."""
    with contextlib.suppress(self._ray.exceptions.RayError):
      self._ray.kill(self._actors[number], no_restart=False)
    if number in self.places:
      processes.kill(self.places[number])

  def close(self) -> None:
    """Ends all of them."""
    for made in self._actors.values():
      self._ray.kill(made)

  def _make(self, number: int) -> None:
    """Makes one, in the place of one that Ray has given up."""
    self._actors[number] = self._class.remote(self._settings)
    self._ask_at[number] = 0.0


def check_here(error: Exception) -> None:
  """Raises ClusterError if a call failed because Ray has ended here.

  Ray would soon end this process as well, without a word.
  """
  here = type(error).__name__ == 'LocalRayletDiedError'
  if here or _OWNER in str(error):
    raise ClusterError(ray_failures.HERE) from error


def cause(error: Exception) -> str:
  """Returns why Ray says that a call has failed, in a few words."""
  raised = getattr(error, 'cause', None)
  if isinstance(raised, Exception):
    text = ' '.join(str(raised).split())
    return f'{type(raised).__name__}: {text[:_TEXT]}'
  text = str(error)
  detail = re.search(r'[Ww]orker exit detail: ([^.\n]*)', text)
  if detail:
    return detail[1].strip()
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  return (lines[-1] if lines else type(error).__name__)[:_TEXT]
