"""Serves one environment over a pair of pipes: the program of a worker.

worker_process.py starts it with PARENT, the process id of the program that it
ends with: `python -P -m worldmodels.data.worker_main PARENT`.
"""

import ctypes
import os
import signal
import sys
import traceback

import dm_env

from worldmodels import checkout
from worldmodels import errors
from worldmodels.data import channel
from worldmodels.data import environments

_PR_SET_PDEATHSIG = 1


def main() -> None:
  """Serves one environment until the channel closes or the task fails."""
  _die_with_parent(int(sys.argv[1]))
  checkout.hide()
  connection = _take_over_pipes()
  environment = None
  try:
    fields, _ = connection.receive()
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
    connection.send(_failure(error))
  if environment is not None:
    environment.close()


def _die_with_parent(parent: int) -> None:
  """Asks the kernel to kill this process when its parent ends (Linux)."""
  if sys.platform == 'linux':
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
  if os.getppid() != parent:  # It ended before that.
    sys.exit(0)


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
    'shapes': {key: spec.shape for key, spec in specs.items()},
    'action_size': environment.action_size,
    'discrete': environment.discrete,
    'action_repeat': environment.action_repeat,
    'step_limit': environment.step_limit,
    'quality': environment.quality,
  }


def _serve(
  connection: channel.Channel, environment: environments.Environment
) -> None:
  """Answers one request: an action, or else a reset."""
  fields, arrays = connection.receive()
  if 'action' in arrays:
    timestep = environment.step(arrays['action'])
  else:
    timestep = environment.reset(fields['seed'])
  _send_timestep(connection, timestep)


def _send_timestep(
  connection: channel.Channel, timestep: dm_env.TimeStep
) -> None:
  fields = {
    'step_type': int(timestep.step_type),
    'reward': timestep.reward,
    'discount': timestep.discount,
  }
  connection.send(fields, timestep.observation)


def _failure(error: Exception) -> channel.Fields:
  """Describes an error as the parent will report it."""
  place = traceback.extract_tb(error.__traceback__)[-1]
  lines = str(error).strip().splitlines() or ['no message']
  return {
    'error': type(error).__name__,
    'mendable': isinstance(error, errors.UserError),
    'message': lines[0],
    'place': f'{place.filename}:{place.lineno}',
  }


if __name__ == '__main__':
  main()
