"""Starts the programs: flags, quiet libraries, one line for an error.

A program is a file of this folder: a docstring, flags, and

  main(argv)   does it
  CONFIG       the value of --config if none is given; only of those that have
               that flag
  STOPPED      what is said on Ctrl-C

Programs import what loads TensorFlow inside their main, so that --help and all
that can be seen to be wrong without it are answered at once.
"""

import ast
import atexit
import contextlib
import errno
import functools
import importlib
import logging
import os
import pathlib
import re
import sys
import tempfile
import textwrap
import types
from collections.abc import Callable, Iterable
from typing import NoReturn

from absl import app
from absl import flags
from absl import logging as absl_logging

from worldmodels import checkout
from worldmodels import errors
from worldmodels.agents.programs import config_flag

USAGE, FAILURE, INTERRUPTED = 2, 1, 130

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_HELP = re.compile(r'--?(h|help|helpshort|helpfull)')
_FOLDER = pathlib.Path(__file__).parent


def main(name: str | None = None) -> None:
  """Runs the program called `name`, or else the one of the first argument."""
  try:
    _start(name, sys.argv[1:])
  except KeyboardInterrupt:  # Before there is anything that it stops.
    fail('stopped', INTERRUPTED)
  except BrokenPipeError:  # `worldmodels train --help | head -1`
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(FAILURE)


def _start(name: str | None, arguments: list[str]) -> None:
  """Runs the program called `name` as its flags say."""
  # `worldmodels` itself.
  if name is None:
    if not arguments:
      print(_usage(), file=sys.stderr)
      sys.exit(USAGE)
    name, *arguments = arguments
  if name == 'help' or _HELP.fullmatch(name):
    print(_usage())
    return
  if name == '--version':
    print(_version())
    return
  if name not in programs():
    fail(f'no program {name!r}; there are {", ".join(programs())}', USAGE)
  # The program. Its flags are read from sys.argv where they are defined.
  sys.argv = [f'worldmodels {name}', *arguments]
  find_users_modules()
  try:
    module = importlib.import_module(f'{__package__}.{name}')
  except errors.UserError as error:
    fail(explain(error), USAGE)
  if any(map(_HELP.fullmatch, arguments)):
    print(_help(module))
    return
  stopped = getattr(module, 'STOPPED', 'stopped')
  run(module.main, stopped, getattr(module, 'CONFIG', None))


def programs() -> dict[str, str]:
  """Returns the first line of the docstring of each program, by name."""
  found = {}
  for path in sorted(_FOLDER.glob('*.py')):
    tree = ast.parse(path.read_text())
    functions = {
      node.name for node in tree.body if isinstance(node, ast.FunctionDef)
    }
    if 'main' in functions and path.stem != pathlib.Path(__file__).stem:
      found[path.stem] = ast.get_docstring(tree).splitlines()[0]
  return found


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
) -> None:
  """Runs `main(argv)`; an error that a user can mend ends in one line.

  Args:
    main: of the program.
    stopped: what is said on Ctrl-C.
    config: the value of the flag of that name if none is given. (A default of
      its own would be parsed, with all keys that are set, at import.)
  """

  def guarded(argv: list[str]) -> None:
    if len(argv) > 1:
      fail(f'unexpected argument {argv[1]!r}: flags start with --', USAGE)
    try:
      quiet()
      main(argv)
    except KeyboardInterrupt:
      fail(stopped, INTERRUPTED)
    except (OSError, errors.UserError) as error:
      fail(explain(error))

  app.run(guarded, flags_parser=functools.partial(_parse, config))


def fail(message: object, status: int = FAILURE) -> NoReturn:
  """Ends the program with one line on stderr."""
  print(f'error: {" ".join(str(message).split())}', file=sys.stderr)
  sys.exit(status)


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


def quiet() -> None:
  """Redirects library output on stderr to a log file.

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


def _remove(path: str) -> None:
  with contextlib.suppress(OSError):
    os.unlink(path)


def _usage() -> str:
  """Returns the help of `worldmodels` itself."""
  return '\n'.join(
    [
      'usage: worldmodels PROGRAM [--flag=value ...]',
      '',
      *_columns(programs().items()),
      '',
      '`worldmodels PROGRAM --help` says what its flags are.',
    ]
  )


def _help(module: types.ModuleType) -> str:
  """Returns the docstring of a program and its flags."""
  own = flags.FLAGS.get_flags_for_module(module.__name__)
  rows = []
  for flag in sorted(own, key=lambda flag: flag.name):
    text = flag.help
    if flag.default not in (None, []):
      default = flag.default_as_str.strip("'")
      text += f' Default: {default}.'
    if any(not validator.checker(None) for validator in flag.validators):
      text += ' Required.'
    rows.append((f'--{"[no]" if flag.boolean else ""}{flag.name}', text))
  return '\n'.join([module.__doc__.strip(), '', *_columns(rows)]).strip()


def _columns(rows: Iterable[tuple[str, str]]) -> list[str]:
  """Returns the lines of a table of names and descriptions."""
  rows = list(rows)
  width = 4 + max((len(name) for name, _ in rows), default=0)
  return [
    textwrap.fill(
      f'  {name:{width - 2}}{text}',
      width=80,
      subsequent_indent=' ' * width,
      break_on_hyphens=False,
    )
    for name, text in rows
  ]


def _version() -> str:
  """Returns the version of the distribution, if it is installed."""
  from importlib import metadata

  try:
    return metadata.version('worldmodels-tf')
  except metadata.PackageNotFoundError:
    return 'a checkout that is not installed'


def _parse(config: str | None, argv: list[str]) -> list[str]:
  """Parses flags; a wrong one is answered in one line."""
  try:
    argv = flags.FLAGS.read_flags_from_files(argv, force_gnu=False)
    if config is not None:
      return config_flag.parse(config, argv)
    return flags.FLAGS(argv)
  except flags.IllegalFlagValueError as error:
    missing = re.match(r'flag --(\w+)=None', str(error))
    fail(f'--{missing[1]} is missing' if missing else explain(error), USAGE)
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
