"""Serves one environment over a pair of pipes, in a process of its own.

worker_main.py starts it; workers.py is the other side.
"""

import os
import sys
import traceback

import dm_env
import numpy as np

from worldmodels import checkout
from worldmodels import errors
from worldmodels import users
from worldmodels.data import channel
from worldmodels.data import environments
from worldmodels.data import graphics

_LONGEST = 500  # characters of a message


def main() -> None:
  """Serves one environment until the channel closes or the task fails."""
  checkout.hide()
  connection = _take_over_pipes()
  environment = None
  try:
    fields, _ = connection.receive()
    _reseed(fields['seed'])
    environment = environments.make(fields.pop('task'), **fields)
    if 'tensorflow' in sys.modules:
      raise environments.TaskError(
        f'task {environment.task!r}: it imports TensorFlow, which crashes '
        'OpenGL in software; keep TensorFlow out of environments'
      )
    connection.send(_description(environment))
    while True:
      _serve(connection, environment)
  except channel.ClosedError:
    pass  # The parent has no more use for this process.
  except Exception as error:  # noqa: BLE001 (raised in the parent)
    traceback.print_exc()
    connection.send(_failure(graphics.cause(error)))
  if environment is not None:
    environment.close()


def _take_over_pipes() -> channel.Channel:
  """Keeps stdin and stdout for messages, away from the prints of a task."""
  connection = channel.Channel(os.dup(0), os.dup(1))
  null = os.open(os.devnull, os.O_RDONLY)
  os.dup2(null, 0)
  os.close(null)
  os.dup2(2, 1)
  sys.stdout.reconfigure(line_buffering=True)
  return connection


def _description(environment: environments.Environment) -> channel.Fields:
  """Describes an environment to the proxy in the parent."""
  specs = environment.observation_spec()
  return {
    'pid': os.getpid(),
    'shapes': {key: spec.shape for key, spec in specs.items()},
    'action_size': environment.action_size,
    'discrete': environment.discrete,
    'bounds': environment.bounds,
    'action_repeat': environment.action_repeat,
    'step_limit': environment.step_limit,
    'ends_early': environment.ends_early,
    'quality': environment.quality,
  }


def _serve(
  connection: channel.Channel, environment: environments.Environment
) -> None:
  """Answers one request: an action, actions to try, or else a reset."""
  fields, arrays = connection.receive()
  if 'tried' in arrays:
    rewards, discounts = environment.simulate(arrays['tried'])
    connection.send({}, {'rewards': rewards, 'discounts': discounts})
    return
  if 'action' in arrays:
    timestep = environment.step(arrays['action'])
  else:
    if environment.global_random:
      _reseed(fields['seed'])
    timestep = environment.reset(fields['seed'])
  _send_timestep(connection, timestep)


def _reseed(seed: int | None) -> None:
  """Reseeds NumPy's global random numbers, which belong to nobody.

  The mazes of dm_control use them. This process has but the one task.
  """
  if seed is not None:
    np.random.seed(seed % 2**32)


def _send_timestep(
  connection: channel.Channel, timestep: dm_env.TimeStep
) -> None:
  fields = {
    'step_type': int(timestep.step_type),
    'reward': timestep.reward,
    'discount': timestep.discount,
    'env_steps': getattr(timestep, 'env_steps', 0),  # A reset takes none.
  }
  connection.send(fields, timestep.observation)


def _failure(error: Exception) -> channel.Fields:
  """Describes an error as the parent will report it."""
  last = traceback.extract_tb(error.__traceback__)[-1]
  # The line of the task, if a library raised that it has called.
  file, line = users.innermost(error) or (last.filename, last.lineno)
  return {
    'error': type(error).__name__,
    'mendable': isinstance(error, errors.UserError),
    'message': _message(error),
    'place': f'{file}:{line}',
  }


def _message(error: Exception) -> str:
  """Returns the first line of a message, cut where it is very long."""
  try:
    text = str(error).strip()
  except Exception:  # noqa: BLE001 (a class of the user's may raise anything)
    return 'a message that cannot be read'
  line = text.partition('\n')[0].strip() or 'no message'
  if len(line) <= _LONGEST:
    return line
  return f'{line[:_LONGEST]}... ({len(text)} characters)'
