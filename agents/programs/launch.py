"""Starts the programs: flags, quiet libraries, one line for an error.

A program is a file of this folder: a docstring, flags, and

  main(argv)   does it
  CONFIG       the value of --config if none is given; only of those that have
               that flag
  TAKE         makes of the arguments those that flags are parsed from
  INTERNAL     flags that help leaves out
  STOPPED      what is said on Ctrl-C
  WAITS        what it may have to wait for then

Programs import what loads TensorFlow inside their main, so that --help and all
that can be seen to be wrong without it are answered at once. --trace, which all
of them take, prints Python's trace before the line of an error.
"""

import atexit
import errno
import functools
import importlib
import logging
import math
import os
import re
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from absl import app
from absl import flags
from absl import logging as absl_logging

from worldmodels import checkout
from worldmodels import errors
from worldmodels import users
from worldmodels.agents.programs import config_flag
from worldmodels.agents.programs import scratch
from worldmodels.agents.programs import stopping
from worldmodels.agents.programs import usage
from worldmodels.agents.runs import memory

USAGE, FAILURE, INTERRUPTED = 2, 1, 130

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_HELP = re.compile(r'--?(h|help|helpshort|helpfull)')
_TRACE = '--trace'


def main(name: str | None = None) -> None:
  """Runs the program called `name`, or else the one of the first argument."""
  try:
    _start(name, sys.argv[1:])
  except KeyboardInterrupt:  # Before there is anything that it stops.
    fail('stopped', INTERRUPTED)
  except BrokenPipeError:  # `worldmodels train --help | head -1`
    _drop_output()
    sys.exit(FAILURE)


def _start(name: str | None, arguments: list[str]) -> None:
  """Runs the program called `name` as its flags say."""
  # `worldmodels` itself.
  if name is None:
    if not arguments:
      print(usage.usage(), file=sys.stderr)
      sys.exit(USAGE)
    name, *arguments = arguments
  if name == 'help' or _HELP.fullmatch(name):
    print(usage.usage())
    return
  if name == '--version':
    print(usage.version())
    return
  if name not in usage.programs():
    fail(f'no program {name!r}; there are {", ".join(usage.programs())}', USAGE)
  arguments = [word for word in arguments if word != _TRACE]
  # The program. Its flags are read from sys.argv where they are defined.
  sys.argv = [f'worldmodels {name}', *arguments]
  find_users_modules()
  try:
    module = importlib.import_module(f'{__package__}.{name}')
  except errors.UserError as error:
    fail(explain(error), USAGE)
  if any(map(_HELP.fullmatch, arguments)):
    try:
      print(usage.of_program(module, arguments))
    except errors.UserError as error:
      fail(explain(error), USAGE)
    return
  run(
    module.main,
    getattr(module, 'STOPPED', 'stopped'),
    getattr(module, 'CONFIG', None),
    getattr(module, 'WAITS', 'for what is under way'),
    getattr(module, 'TAKE', list),
  )


def find_users_modules() -> None:
  """Lets the user's modules be found before folders of the checkout.

  From the current directory, as with `python -m`. The folders agents, configs
  and data of a checkout are names that many projects use, so it is hidden.
  """
  here = os.getcwd()
  sys.path[:] = [path or here for path in sys.path]
  if here not in sys.path:
    sys.path.insert(0, here)
  checkout.hide()


def run(
  main: Callable[[list[str]], None],
  stopped: str = 'stopped',
  config: str | None = None,
  waits: str = 'for what is under way',
  take: Callable[[list[str]], list[str]] = list,
) -> None:
  """Runs `main(argv)`; an error that a user can mend ends in one line.

  Args:
    main: of the program.
    stopped: what is said on Ctrl-C.
    config: the value of the flag of that name if none is given. (A default of
      its own would be parsed, with all keys that are set, at import.)
    waits: what the program may have to wait for after Ctrl-C.
    take: of the arguments makes those that flags are parsed from.
  """

  def guarded(argv: list[str]) -> None:
    if len(argv) > 1:
      fail(f'unexpected argument {argv[1]!r}: flags start with --', USAGE)
    listener = None
    try:
      folder = scratch.make()
      atexit.register(scratch.remove, folder)
      quiet(folder)
      listener = stopping.Listener(
        f'stopping: waits {waits}, at most {stopping.SECONDS} s; Ctrl-C again '
        'does not wait',
        f'error: {stopped}',
        INTERRUPTED,
        functools.partial(scratch.remove, folder),
      )
      try:
        main(argv)
      finally:
        sys.stdout.flush()  # While it can still be said that it fails.
    except KeyboardInterrupt:
      if listener is not None:
        listener.ended()
      fail(stopped, INTERRUPTED)
    except (OSError, errors.UserError) as error:
      _drop_output()
      fail(explain(error))
    except Exception as error:  # noqa: BLE001 (raised again, but for two kinds)
      if memory.is_out_of_memory(error):
        fail(memory.explain(error))
      if users.innermost(error):
        fail(
          f'code of yours {users.raises(error)}; {_TRACE} shows the way there'
        )
      raise

  app.run(guarded, flags_parser=functools.partial(_parse, config, take))


def fail(message: object, status: int = FAILURE) -> NoReturn:
  """Ends the program with one line on stderr, after the trace if asked to."""
  if _TRACE in sys.orig_argv and sys.exc_info()[0]:
    traceback.print_exc()
  print(f'error: {" ".join(str(message).split())}', file=sys.stderr)
  sys.exit(status)


def _drop_output() -> None:
  """Drops what nobody reads or no disk takes, else Python ends with a trace."""
  try:
    sys.stdout.flush()
  except OSError:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def explain(error: BaseException) -> str:
  """Returns one line for an error of the system or of a part of ours."""
  if isinstance(error, OSError) and error.strerror:
    text = f'{error.filename}: ' if error.filename else ''
    text += error.strerror
    if error.errno in _FULL:
      text += (
        '; what was written before is whole: make room, and give the same '
        'command again'
      )
    return text
  lines = [
    line.strip() for line in str(error).removeprefix('ERROR:: ').splitlines()
  ]
  text = '; '.join(line for line in lines if line).replace(':; ', ': ')
  return text or type(error).__name__


def quiet(folder: str) -> None:
  """Redirects library output on stderr to a log file; writes whole lines.

  TensorFlow's C++ parts write to file descriptor 2 whatever one sets, so it
  gets a file of its own and Python keeps the terminal. The file stays where
  the process dies of a crash, which is when someone wants to read it. A line
  on stdout is seen when it is printed, in a pipe as well.

  Args:
    folder: of temporary files, for the log.
  """
  sys.stdout.reconfigure(line_buffering=True)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  absl_logging.set_verbosity(absl_logging.ERROR)
  logging.getLogger('tensorflow').setLevel(logging.ERROR)
  sys.stderr.flush()
  sys.stderr = os.fdopen(os.dup(2), 'w', buffering=1)
  with open(os.path.join(folder, 'libraries.log'), 'wb') as file:
    os.dup2(file.fileno(), 2)


def _parse(
  config: str | None,
  take: Callable[[list[str]], list[str]],
  argv: list[str],
) -> list[str]:
  """Parses flags; a wrong one is answered in one line."""
  try:
    argv = flags.FLAGS.read_flags_from_files(argv, force_gnu=False)
    argv = [argv[0], *take(argv[1:])]
    if config is not None:
      rest = config_flag.parse(config, argv)
    else:
      rest = flags.FLAGS(argv)
    _check_values()
    return rest
  except flags.IllegalFlagValueError as error:
    missing = re.match(r'flag --(\w+)=None', str(error))
    boolean = re.match(r"(flag --[^:]*): \('Non-boolean", str(error))
    if missing:
      fail(f'--{missing[1]} is missing', USAGE)
    if boolean:
      fail(f'{boolean[1]}: it is true or false', USAGE)
    fail(explain(error), USAGE)
  except flags.UnrecognizedFlagError as error:
    fail(str(error).replace('Did you mean:', 'did you mean'), USAGE)
  except (
    errors.UserError,
    flags.Error,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
    OSError,
  ) as error:
    fail(explain(error), USAGE)


def _check_values() -> None:
  """Raises an error for values of our flags that no program has a use for."""
  for module, found in flags.FLAGS.flags_by_module_dict().items():
    if not module.startswith('worldmodels.'):
      continue
    for flag in found:
      if flag.value == '':
        raise flags.Error(f"--{flag.name} is ''; it needs a value")
      if isinstance(flag.value, float) and not math.isfinite(flag.value):
        raise flags.Error(f'--{flag.name}={flag.value}: it is a finite number')
