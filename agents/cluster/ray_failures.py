"""What Ray says when it cannot do something, made one line."""

import atexit
import functools
import os
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import ParamSpec, TypeVar

from worldmodels import errors

HERE = (
  "Ray's process on this machine (raylet) has ended; the same command starts "
  'or joins it again, and continues'
)
Given = ParamSpec('Given')
Found = TypeVar('Found')


class ClusterError(errors.UserError):
  """Ray is not there, or a cluster cannot be joined; the text is one line."""


def guarded(
  ray: ModuleType, function: Callable[Given, Found]
) -> Callable[Given, Found]:
  """Returns a function of Ray that says so where its process here has ended.

  It raises `Broken pipe` where the object store was that it writes into.
  """

  @functools.wraps(function)
  def called(*given: Given.args, **options: Given.kwargs) -> Found:
    try:
      return function(*given, **options)
    except ray.exceptions.RayError:
      raise  # Also of what a task has raised there.
    except OSError as error:
      raise ClusterError(HERE) from error

  return called


def imported() -> ModuleType:
  """Returns Ray; raises ClusterError if it cannot be imported."""
  try:
    import ray
  except ImportError as error:
    raise ClusterError(
      f'Ray is installed but cannot be imported: {line(error)}; once more: '
      "pip install --force-reinstall 'worldmodels-tf[cluster]'"
    ) from error
  return ray


def hush(ray: ModuleType) -> None:
  """Has Ray print no errors of its own, some of which are pages.

  What is printed of workers is off by `log_to_driver`; for this there is no
  option. What it means for us is said by who is concerned.
  """
  worker = ray._private.worker
  if hasattr(worker, 'print_to_stdstream'):
    worker.print_to_stdstream = lambda *_, **__: None


def answers(ray: ModuleType, seconds: float) -> bool:
  """Returns whether the head of the cluster answers a request in time.

  Ray has no public function that would not wait for a minute. A Ray without
  this one is asked nothing.
  """
  client = getattr(ray._private.worker.global_worker, 'gcs_client', None)
  if not hasattr(client, 'check_alive'):
    return True
  try:
    client.check_alive([], timeout=seconds)
  except ray.exceptions.RayError:
    return False
  return True


def end_with(status: int) -> None:
  """Has this process end with a status: without a head Ray would crash it.

  What else is to be done at its end is done first.
  """

  def end() -> None:
    atexit.unregister(end)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

  atexit.register(end)


def hint(error: Exception) -> str:
  """Returns what is to be done where a cluster may want a token.

  Ray then says that it does not reach the cluster, which it does.
  """
  if 'Failed to connect' not in str(error):
    return ''
  if os.environ.get('RAY_AUTH_MODE') == 'token':
    return '; its token may be another one'
  return '; one that asks for a token is joined with RAY_AUTH_MODE=token'


def failures(ray: ModuleType) -> tuple[type[Exception], ...]:
  """Returns what Ray raises when it cannot be started or joined."""
  of_ray = ray.exceptions.RayError
  return of_ray, OSError, RuntimeError, TimeoutError, ValueError, KeyError


def line(error: Exception) -> str:
  """Returns what an error of Ray says, in one line that is not too long."""
  text = ' '.join(str(error).split()) or type(error).__name__
  if 'ersion mismatch' in text:
    found = re.findall(r'Ray: (\S+) Python: (\S+)', text)
    if len(found) == 2:
      (ray, python), (own_ray, own_python) = found
      return (
        f'its Ray is {ray} on Python {python}, this one {own_ray} on Python '
        f'{own_python}; install the same in both places'
      )
  return text if len(text) <= 300 else f'{text[:300]}...'
