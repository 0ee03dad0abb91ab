"""How every program starts: its flags, quiet libraries, one line for errors.

Programs import what loads TensorFlow inside their main, so that --help and a
misspelt flag answer at once.
"""

import atexit
import difflib
import logging
import os
import sys
import tempfile

from absl import app
from absl import flags
from absl import logging as absl_logging

USAGE, FAILURE = 2, 1


def run(main):
  """Runs `main(argv)`; what a user can mend ends in one line, not a trace."""
  def guarded(argv):
    if len(argv) > 1:
      fail(f'unexpected argument {argv[1]!r}: flags start with --', USAGE)
    quiet()
    try:
      main(argv)
    except KeyboardInterrupt:
      fail('stopped; the same command continues', 130)
    except _mendable() as error:
      fail(explain(error))
  app.run(guarded, flags_parser=_parse)


def fail(message, status=FAILURE):
  """Ends the program with one line on stderr."""
  print(f'error: {" ".join(str(message).split())}', file=sys.stderr)
  sys.exit(status)


def explain(error):
  """Returns one line for an error of the system or of a part of ours."""
  if isinstance(error, OSError) and error.strerror:
    name = f'{error.filename}: ' if error.filename else ''
    return f'{name}{error.strerror}'
  return str(error).splitlines()[0] if str(error) else type(error).__name__


def quiet():
  """Leaves the terminal to the program: what libraries say stays out.

  TensorFlow's C++ parts write to file descriptor 2 whatever one sets, so it
  gets a file of its own and Python keeps the terminal. The file stays where
  the process dies of a crash, which is when someone wants to read it.
  """
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  absl_logging.set_verbosity(absl_logging.ERROR)
  logging.getLogger('tensorflow').setLevel(logging.ERROR)
  sys.stderr.flush()
  sys.stderr = os.fdopen(os.dup(2), 'w', buffering=1)
  file, path = tempfile.mkstemp(prefix='worldmodels-', suffix='.log')
  os.dup2(file, 2)
  os.close(file)
  atexit.register(os.unlink, path)


def _mendable():
  """The errors whose message is written for the user.

  TensorFlow's own are not among them but for disk and numeric trouble.
  """
  from agents import checkpoint
  from agents.run import build
  from agents.run import run_directory
  from data import episodes
  from data import graphics
  from data import resolve
  from data import workers
  return (OSError, checkpoint.CheckpointError, run_directory.RunError,
          episodes.StoreError, graphics.GraphicsError, resolve.TaskError,
          workers.WorkerError, build.ConfigError)


def _parse(argv):
  """Parses flags; a wrong one is answered in one line."""
  try:
    return flags.FLAGS(argv)
  except flags.UnrecognizedFlagError as error:
    fail(f'{error}'.replace("Did you mean:", "did you mean"), USAGE)
  except (AttributeError, KeyError) as error:
    fail(_unknown_key(argv, error), USAGE)
  except (flags.Error, TypeError, ValueError, OSError, ImportError) as error:
    fail(explain(error), USAGE)


def _unknown_key(argv, error):
  """Names the key that does not exist and the one that was likely meant."""
  from agents.run import run_directory
  keys = sorted(run_directory.flatten(_config(argv)))
  for argument in argv[1:]:
    name = argument.lstrip('-').split('=')[0]
    if name.startswith('config.') and name[7:] not in keys:
      near = difflib.get_close_matches(name[7:], keys, 1, 0.0)
      return f'no key {name[7:]!r} in the config; did you mean {near[0]!r}?'
  return explain(error)


def _config(argv):
  """The config as its file gives it, without overrides."""
  from ml_collections import config_flags
  values = flags.FlagValues()
  holder = config_flags.DEFINE_config_file(
      'config', flags.FLAGS['config'].default, flag_values=values)
  values([argv[0]] + [a for a in argv[1:] if a.startswith('--config=')])
  return holder.value.to_dict()
