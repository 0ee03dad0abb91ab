"""Kinds by name: the name of a file of ours, or `module:name` of the user's.

A kind is a file of a folder such as worldmodels/dynamics, and has a class or
function whose name is the same in all files of that folder. There is no list
of kinds to keep. A kind of the user's is named in full, `my_lab.motion:Linear`,
and is found from the current directory.
"""

import ast
import importlib
import inspect
import os
import pathlib
import re
import types
from collections.abc import Callable, Collection
from typing import Any

from worldmodels import errors
from worldmodels import users


class ModuleError(errors.UserError):
  """A module of the user's that cannot be found; the message is one line."""


def names(package: str, member: str) -> list[str]:
  """Lists the kinds: the files of a package that define `member`."""
  defines = re.compile(rf'^(class|def) {member}\b', re.MULTILINE)
  return sorted(
    path.stem for path in _files(package) if defines.search(path.read_text())
  )


def source(package: str, kind: str) -> str:
  """Returns the text of the file of a kind, which may not be imported yet.

  Args:
    package: whose files are the kinds.
    kind: name of a file there.
  """
  (path,) = (path for path in _files(package) if path.stem == kind)
  return path.read_text()


def keywords(package: str, kind: str, member: str) -> set[str]:
  """Returns the keywords of a kind, which is not imported.

  Args:
    package: whose files are the kinds.
    kind: name of a file there.
    member: name of the function, or of the class, whose own constructor it is.
  """
  (found,) = (
    node
    for node in ast.parse(source(package, kind)).body
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == member
  )
  functions = [found]
  if isinstance(found, ast.ClassDef):
    functions = [
      node
      for node in found.body
      if isinstance(node, ast.FunctionDef) and node.name == '__init__'
    ]
  return {x.arg for function in functions for x in function.args.kwonlyargs}


def _files(package: str) -> list[pathlib.Path]:
  folder = importlib.import_module(package)
  return [
    path
    for place in folder.__path__
    for path in pathlib.Path(place).glob('*.py')
  ]


def find(package: str, kind: str, member: str) -> Callable[..., Any]:
  """Finds the class or function of a kind.

  Args:
    package: whose files are the kinds, such as `worldmodels.dynamics`.
    kind: name of a file there, or `module:name`.
    member: name of the class or function in each of the files.

  Raises:
    OptionError: there is no such kind; its option is `kind`.
  """
  if ':' in kind:
    return _find_users(kind)
  if kind not in names(package, member):
    listed = ', '.join(names(package, member))
    raise errors.OptionError(
      'kind', f'is {kind!r}; it is one of {listed}, or module:name'
    )
  return getattr(importlib.import_module(f'{package}.{kind}'), member)


def make(
  package: str,
  member: str,
  options: dict[str, Any],
  sizes: Collection[str] = (),
  **given: Any,
) -> Any:  # noqa: ANN401 (of the kind)
  """Calls the class or function of a kind with the options that it names.

  One group of options serves all kinds of a folder, so that `kind` can be
  changed by itself: what another kind takes is left aside.

  Args:
    package: as in `find`.
    member: as in `find`.
    options: `kind`, and options by name.
    sizes: names of attributes that what is made has to have, whole numbers.
    **given: further keyword values; these are all handed on.

  Raises:
    OptionError: there is no such kind, an option is missing, the kind does not
      take what it is given, or it is the user's and raises.
  """
  kind = options['kind']
  function = find(package, kind, member)
  known = _parameters(function)
  for name in given:
    if name not in known and not _takes_anything(function):
      raise errors.OptionError('kind', f'is {kind!r}, which takes no {name!r}')
  chosen = complete(function, options, given) | given
  if ':' not in kind:
    return function(**chosen)
  with users.explained('kind', f'is {kind!r}, which'):
    made = function(**chosen)
  for name in sizes:
    value = getattr(made, name, None)
    if not isinstance(value, int) or value < 1:
      raise errors.OptionError(
        'kind',
        f'is {kind!r}, whose attribute {name!r} is {value!r}; it is a whole '
        'number above 0',
      )
  return made


def complete(
  function: Callable[..., Any],
  options: dict[str, Any],
  given: Collection[str],
) -> dict[str, Any]:
  """Returns the options that a class or function names, and all it needs.

  Args:
    function: of a kind.
    options: `kind`, and options by name.
    given: names of what it is called with beside them.

  Raises:
    OptionError: an option is missing.
  """
  chosen = named(function, options)
  for name, parameter in _parameters(function).items():
    lacks = name not in chosen and name not in given
    if lacks and parameter.default is parameter.empty:
      raise errors.OptionError(
        name, f'is missing; {options["kind"]!r} needs it'
      )
  return chosen


def named(
  function: Callable[..., Any], options: dict[str, Any]
) -> dict[str, Any]:
  """Returns the options that a class or function names."""
  known = _parameters(function)
  return {
    key: value
    for key, value in options.items()
    if key in known and key != 'kind'
  }


def _parameters(
  function: Callable[..., Any],
) -> dict[str, inspect.Parameter]:
  """Returns the keyword parameters of a class or function.

  A constructor that hands **kwargs on takes what that of its base takes; what
  it gives the base itself, it has to give whatever the caller does.
  """
  if not inspect.isclass(function):
    return _by_keyword(inspect.signature(function))
  found: dict[str, inspect.Parameter] = {}
  constructors = [
    vars(base)['__init__']
    for base in function.__mro__
    if '__init__' in vars(base)
  ]
  for index, constructor in enumerate(constructors):
    signature = inspect.signature(constructor)
    own = _by_keyword(signature)
    own.pop('self', None)
    if index:
      own = {
        name: parameter.replace(default=None) for name, parameter in own.items()
      }
    found = own | found
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if inspect.Parameter.VAR_KEYWORD not in kinds:
      break
  return found


def _takes_anything(function: Callable[..., Any]) -> bool:
  """Returns whether **kwargs take what no constructor names."""
  functions = [function]
  if inspect.isclass(function):
    functions = [
      vars(base)['__init__']
      for base in function.__mro__
      if '__init__' in vars(base) and base is not object
    ]
  return all(
    inspect.Parameter.VAR_KEYWORD
    in {x.kind for x in inspect.signature(one).parameters.values()}
    for one in functions
  )


def _by_keyword(signature: inspect.Signature) -> dict[str, inspect.Parameter]:
  return {
    name: parameter
    for name, parameter in signature.parameters.items()
    if parameter.kind
    in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
  }


def import_users(name: str) -> types.ModuleType:
  """Imports a module of the user's.

  Raises:
    ModuleError: it is not there, or imports what is not.
  """
  try:
    return importlib.import_module(name)
  except ModuleNotFoundError as error:
    missing = error.name or ''
    if name == missing or name.startswith(f'{missing}.'):
      problem = f'no module {missing!r}, looked for from {os.getcwd()}'
    else:
      problem = f'{name} imports {missing!r}, which is not installed'
    raise ModuleError(problem) from error


def _find_users(kind: str) -> Callable[..., Any]:
  """Imports `module:name` of the user's."""
  module, _, name = kind.partition(':')
  try:
    with users.explained('kind', f'is {kind!r}: module {module}'):
      found = import_users(module)
  except ModuleError as error:
    raise errors.OptionError('kind', f'is {kind!r}: {error}') from error
  if not callable(getattr(found, name, None)):
    raise errors.OptionError(
      'kind', f'is {kind!r}: module {module} has no class or function {name!r}'
    )
  return getattr(found, name)
