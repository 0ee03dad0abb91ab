"""How every program starts: its flags, quiet libraries, one line for errors.

Programs import what loads TensorFlow inside their main, so that --help and all
that can be seen to be wrong without it are answered at once.
"""

import atexit
import contextlib
import difflib
import errno
import functools
import logging
import os
import re
import sys
import tempfile

from absl import app
from absl import flags
from absl import logging as absl_logging
from ml_collections import config_flags

USAGE, FAILURE, INTERRUPTED = 2, 1, 130

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CONFIG = re.compile(r'--?config(?:=(.*))?')
_KEY = re.compile(r'--?(?:no)?config\.([^=]+)')


def run(main, stopped='stopped', config=None):
  """Runs `main(argv)`; what a user can mend ends in one line, not a trace.

  Args:
    main: of the program.
    stopped: what is said on Ctrl-C.
    config: the value of the flag of that name if none is given. (A default of
      its own would be parsed, with all keys that are set, at import.)
  """
  def guarded(argv):
    if len(argv) > 1:
      fail(f'unexpected argument {argv[1]!r}: flags start with --', USAGE)
    try:
      quiet()
      main(argv)
    except KeyboardInterrupt:
      fail(stopped, INTERRUPTED)
    except _mendable() as error:
      fail(explain(error))
  app.run(guarded, flags_parser=functools.partial(_parse, config))


def config_flag(text):
  """Defines --config, with `text` as its help, and returns its holder.

  It reads files of flags at once, so those that are not there fail here.
  """
  try:
    return config_flags.DEFINE_config_file('config', None, text)
  except flags.Error as error:
    fail(explain(error), USAGE)


def fail(message, status=FAILURE):
  """Ends the program with one line on stderr."""
  print(f'error: {" ".join(str(message).split())}', file=sys.stderr)
  sys.exit(status)


def explain(error):
  """Returns one line for an error of the system or of a part of ours."""
  if isinstance(error, OSError) and error.strerror:
    text = f'{error.filename}: ' if error.filename else ''
    text += error.strerror
    if error.errno in _FULL:
      text += ('; what was written before is whole: make room, and give the '
               'same command again')
    return text
  lines = [line.strip() for line in
           str(error).removeprefix('ERROR:: ').splitlines()]
  text = '; '.join(line for line in lines if line).replace(':; ', ': ')
  return text or type(error).__name__


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
  atexit.register(_remove, path)


def _remove(path):
  with contextlib.suppress(OSError):
    os.unlink(path)


def _mendable():
  """The errors whose message is written for the user."""
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


def _parse(config, argv):
  """Parses flags; a wrong one is answered in one line."""
  try:
    if config is not None:
      argv = flags.FLAGS.read_flags_from_files(argv, force_gnu=False)
      if not any(map(_CONFIG.fullmatch, argv)):
        argv = [argv[0], f'--config={config}', *argv[1:]]
      preset = _check_config(argv)
      rest = flags.FLAGS(argv)
      _check_tuples(preset, flags.FLAGS['config'].value.to_dict())
      return rest
    return flags.FLAGS(argv)
  except flags.IllegalFlagValueError as error:
    missing = re.match(r'flag --(\w+)=None', str(error))
    fail(f'--{missing[1]} is missing' if missing else explain(error), USAGE)
  except flags.UnrecognizedFlagError as error:
    fail(str(error).replace('Did you mean:', 'did you mean'), USAGE)
  except (flags.Error, AttributeError, KeyError, TypeError, ValueError,
          OSError) as error:
    fail(explain(error), USAGE)


def _check_config(argv):
  """Fails if the config does not exist, or a key of it that is set.

  ml_collections would say so as well, in traces that name no near key.

  Returns:
    the config as its file gives it, {'a.b': value}.
  """
  from agents.run import run_directory
  place, match = next(
      (place, match) for place, match in enumerate(
          map(_CONFIG.fullmatch, argv)) if match)
  config = _load_config(match[1] or ''.join(argv[place + 1:place + 2]))
  keys = run_directory.flatten(config)
  for match in filter(None, map(_KEY.match, argv)):
    name = match[1]
    below = [key for key in keys if key.startswith(f'{name}.')]
    if below:
      fail(f'{name} is a group of keys; set one of them, as in '
           f'--config.{below[0]}={keys[below[0]]}', USAGE)
    if name not in keys:
      fail(f'no key {name!r} in the config; did you mean '
           f'{_nearest(name, keys)!r}?', USAGE)
  return keys


def _check_tuples(preset, config):
  """Fails if a tuple has parts of another type, which is let through."""
  from agents.run import run_directory
  for key, value in run_directory.flatten(config).items():
    if isinstance(value, tuple) and preset[key]:
      kind = type(preset[key][0])
      wrong = [part for part in value if not isinstance(part, kind)]
      if wrong:
        fail(f'--config.{key}: {wrong[0]!r} is no {kind.__name__}', USAGE)


def _load_config(value):
  """The config as its file gives it, without what flags set, as a dict."""
  path = value.partition(':')[0]
  if not os.path.isfile(path):
    fail(f'--config={value}: there is no file {path!r} in {os.getcwd()}', USAGE)
  try:
    return flags.FLAGS['config'].parser.parse(value).to_dict()
  except (AttributeError, ImportError, NameError, SyntaxError, TypeError,
          ValueError) as error:
    # The message may hold a whole trace, which ends with what matters.
    fail(f'--config={value}: {str(error).strip().splitlines()[-1]}', USAGE)


def _nearest(name, keys):
  """The key that was likely meant, perhaps without its group."""
  def likeness(key):
    pairs = ((name, key), (name.split('.')[-1], key.split('.')[-1]))
    return sum(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)
  return max(keys, key=likeness)
