"""Says in one line what code of the user's raises, and where in it.

A kind, a task, an objective or a planner may be the user's own. What goes wrong
in it is theirs to mend, so they are told the line of their file. The error that
it was stays behind the one that is raised here, for who wants the whole trace.
"""

import contextlib
import functools
import os
import pathlib
import re
import sysconfig
import traceback
from collections.abc import Iterator

from worldmodels import errors

_UNSAID = NotImplementedError.__name__
_TEXT = 250  # characters of an error that a message quotes
_INSTALLED = ('site-packages', 'dist-packages')
# TensorFlow writes the lines of a function that it has converted into the text
# of the error, and Keras that of a layer between words of its own.
_IN_GRAPH = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')
_CONVERTED, _IN_RUN = 'in user code:', 'Detected at node'
_OF_KERAS = re.compile(
  r'Exception encountered when calling .*?\.\s*\x1b\[1m(.*?)\x1b\[0m', re.DOTALL
)


@contextlib.contextmanager
def explained(option: str, does: str) -> Iterator[None]:
  """Turns what a part of the user's raises into an OptionError of one line.

  Args:
    option: that names the part, such as `kind`.
    does: what is said before it, such as `is 'my_lab.fast:plan', which`.

  Raises:
    OptionError: it raised. Errors that a user reads anyway, and those of too
      little memory, stay what they are.
  """
  try:
    yield
  except (errors.UserError, MemoryError):
    raise
  except (Exception, SystemExit) as error:  # noqa: BLE001 (of the user's)
    if type(error).__name__ == 'ResourceExhaustedError':  # Of TensorFlow.
      raise
    raise errors.OptionError(option, f'{does} {raises(error)}') from error


def raises(error: BaseException) -> str:
  """Returns `raises TYPE: MESSAGE (FILE, line N)`, in one line.

  A method that its base class only names is said to be missing.
  """
  if type(error) is NotImplementedError and one_line(error) == _UNSAID:
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    names += [match[2] for match in _IN_GRAPH.findall(_text(error))]
    return f'has no method {names[-1]!r}'
  return f'raises {one_line(error)}{place(error)}'


def one_line(error: BaseException) -> str:
  """Returns what an error says, in one line that is not long."""
  text = error.msg if isinstance(error, SyntaxError) else _text(error)
  found = _OF_KERAS.search(text)
  text = found[1] if found else text
  if _IN_RUN in text:
    text = text.partition('[[{{node')[0].strip().splitlines()[-1]
  if _CONVERTED in text:
    text = text.strip().rpartition('\n\n')[2]
    text = text.strip().removeprefix(f'{type(error).__name__}:')
  text = ' '.join(text.split())[:_TEXT]
  return f'{type(error).__name__}: {text}' if text else type(error).__name__


def place(error: BaseException) -> str:
  """Returns ` (FILE, line N)`, the innermost line of the user's, if known."""
  found = innermost(error)
  return f' ({_short(found[0])}, line {found[1]})' if found else ''


def innermost(error: BaseException) -> tuple[str, int] | None:
  """Returns file and number of the innermost line of the user's, if known."""
  found = [
    (frame.filename, frame.lineno)
    for frame in traceback.extract_tb(error.__traceback__)
  ]
  if isinstance(error, SyntaxError) and error.filename:
    found.append((error.filename, error.lineno))
  text = _text(error)
  if _CONVERTED in text or _IN_RUN in text:
    found += [match[:2] for match in _IN_GRAPH.findall(text)]
  own = [line for line in found if is_users(line[0])]
  return (own[-1][0], int(own[-1][1])) if own else None


def _text(error: BaseException) -> str:
  """Returns the message of an error; that of a user's class may raise."""
  try:
    return str(error)
  except Exception:  # noqa: BLE001
    return 'a message that cannot be read'


def is_users(file: str) -> bool:
  """Returns whether a file of code is neither ours nor of a library."""
  path = pathlib.Path(file)
  if path.suffix != '.py' or not path.is_file():
    return False
  if '__autograph_generated_file' in path.name:
    return False
  path = path.resolve()
  if set(_INSTALLED) & set(path.parts):
    return False
  return not any(folder in path.parents for folder in _others())


@functools.cache
def _others() -> list[pathlib.Path]:
  """Lists the folders of our own code and of Python's."""
  folders = [pathlib.Path(sysconfig.get_paths()['stdlib'])]
  here = pathlib.Path(__file__).parent
  folders.append(here)
  if not (here / 'agents').is_dir():  # A checkout.
    folders += [here.parent / name for name in ('agents', 'configs', 'data')]
  return [folder.resolve() for folder in folders]


def _short(file: str) -> str:
  """Returns a path from the current directory, if it is below that."""
  try:
    near = os.path.relpath(file)
  except OSError:  # The directory is gone.
    return file
  return file if near.startswith(os.pardir) else near
