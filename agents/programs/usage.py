"""Says which programs there are, and what the flags of each are."""

import ast
import pathlib
import textwrap
import types
from collections.abc import Iterable, Sequence
from importlib import metadata

from absl import flags

from worldmodels.agents.programs import config_flag

_FOLDER = pathlib.Path(__file__).parent


def programs() -> dict[str, str]:
  """Returns the first line of the docstring of each program, by name."""
  found = {}
  for path in sorted(_FOLDER.glob('*.py')):
    tree = ast.parse(path.read_text())
    functions = {
      node.name for node in tree.body if isinstance(node, ast.FunctionDef)
    }
    if 'main' in functions and path.stem != 'launch':
      found[path.stem] = ast.get_docstring(tree).splitlines()[0]
  return found


def usage() -> str:
  """Returns the help of `worldmodels` itself."""
  return '\n'.join(
    [
      'usage: worldmodels PROGRAM [--flag=value ...]',
      '',
      *_columns(programs().items()),
      '',
      '`worldmodels PROGRAM --help` says what its flags are. With --trace an',
      "error has Python's trace.",
    ]
  )


def of_program(module: types.ModuleType, arguments: Sequence[str]) -> str:
  """Returns the docstring of a program, its flags, and the keys of --config.

  Raises:
    UserError: there is no such config.
  """
  own = flags.FLAGS.get_flags_for_module(module.__name__)
  rows = []
  for flag in sorted(own, key=lambda flag: flag.name):
    if flag.name in getattr(module, 'INTERNAL', ()):
      continue
    text = flag.help
    if flag.default not in (None, []):
      default = flag.default_as_str.strip("'")
      text += f' Default: {default}.'
    if any(not validator.checker(None) for validator in flag.validators):
      text += ' Required.'
    rows.append((f'--{"[no]" if flag.boolean else ""}{flag.name}', text))
  lines = [module.__doc__.strip(), '', *_columns(rows)]
  if hasattr(module, 'CONFIG'):
    value, _ = config_flag.take(arguments)
    if value is not None:
      lines += ['', config_flag.describe(value)]
  return '\n'.join(lines).strip()


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


def version() -> str:
  """Returns the version of the distribution, if it is installed."""
  try:
    return metadata.version('worldmodels-tf')
  except metadata.PackageNotFoundError:
    return 'a checkout that is not installed'
