"""Reads the code of this house without importing it, for the tests of rules.

A rule is a function from the repository, {path: text}, to a list of sentences,
one for each violation; `Rules` keeps it beside changes that break it.
"""

import ast
import dataclasses
import functools
import pathlib
import re
import subprocess
from collections.abc import Callable, Iterator

ROOT = pathlib.Path(__file__).parent.parent
# The folders that are packages of `worldmodels` beside its own.
BESIDE = ('agents', 'configs', 'data')
SOURCES = ('worldmodels/', 'agents/', 'data/', 'configs/')
ALL = (*SOURCES, 'tests/')
# Tests that hold violations.
OF_RULES = (
  'tests/house_test.py',
  'tests/import_rules_test.py',
  'tests/build_rules_test.py',
  'tests/small_house.py',
)
# The old commands: programs of the checkout under names that are not ours.
OLD_COMMANDS = ('agents/run/', 'data/check/')

Files = dict[str, str]
Change = Callable[[Files], Files]


@dataclasses.dataclass(frozen=True)
class Rule:
  """A rule, changes of a small repository that break it, and some that do not.

  Attributes:
    find: the function.
    planted: changes after which `find` has to find something.
    fine: changes that look like a violation and are none.
  """

  find: Callable[[Files], list[str]]
  planted: tuple[Change, ...]
  fine: tuple[Change, ...]


class Rules(dict):
  """The rules of one test file, by name."""

  def add(self, *planted: Change, fine: tuple[Change, ...] = ()) -> Callable:
    """Makes the function below it a rule, with what is planted to break it."""

    def keep(find):
      self[find.__name__] = Rule(find, planted, fine)
      return find

    return keep

  def cases(self, member: str) -> list[tuple[str, Change]]:
    """Lists (name of a rule, change) for each of its `planted` or `fine`."""
    return [
      (name, change)
      for name, rule in self.items()
      for change in getattr(rule, member)
    ]


# ------------------------------------------------------------- repository ----


def read_repository() -> Files:
  """Reads what git would commit; in Bazel, the files that BUILD gives."""
  if (ROOT / '.git').exists():
    command = ['git', 'ls-files', '-z', '--cached', '--others']
    command.append('--exclude-standard')
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    paths = listed.stdout.decode().rstrip('\0').split('\0')
  else:
    ignored = re.compile(
      r'/(\.(?!ci/)[^/]*|[^/]*\.egg-info|__pycache__)/|^/(runs|build|dist)/'
    )
    paths = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob('*')]
    paths = [path for path in paths if not ignored.search(f'/{path}/')]
  return {
    path: (ROOT / path).read_bytes().decode(errors='surrogateescape')
    for path in sorted(paths)
    if (ROOT / path).is_file()
  }


@functools.cache
def parse(source: str) -> ast.Module:
  """Parses a file; the same text only once."""
  return ast.parse(source)


def python(files: Files, *starts: str) -> Iterator[tuple[str, ast.Module]]:
  """Yields (path, syntax tree) of the Python files in the folders named."""
  for path, source in files.items():
    if path.endswith('.py') and path.startswith(starts):
      yield path, parse(source)


# ------------------------------------------------------------------ names ----


def module_of(path: str) -> str:
  """Returns the one name of a file: agents/a.py is worldmodels.agents.a."""
  parts = path.removesuffix('.py').split('/')
  if parts[0] in BESIDE:
    parts = ['worldmodels', *parts]
  if parts[-1] == '__init__':
    parts.pop()
  return '.'.join(parts)


def file_of(module: str, files: Files) -> str | None:
  """Returns the file of a module of ours; None if it is not there."""
  first, _, rest = module.partition('.')
  if first == 'worldmodels' and rest.split('.')[0] in BESIDE:
    module = rest
  base = module.replace('.', '/')
  for path in (f'{base}.py', f'{base}/__init__.py'):
    if path in files:
      return path
  return None


def other_names(modules: dict[str, object]) -> list[str]:
  """Lists the modules of ours that were imported under another name as well.

  Args:
    modules: such as sys.modules.
  """
  wrong = []
  for name, module in modules.items():
    path = pathlib.Path(getattr(module, '__file__', None) or '/')
    if path.is_relative_to(ROOT):
      path = path.relative_to(ROOT).as_posix()
      if path.startswith(SOURCES) and name != module_of(path):
        wrong.append(f'{path} is {name}')
  return wrong


def dotted(node: ast.AST) -> str:
  """Returns `a.b.c` for the expression a.b.c, else ''."""
  if isinstance(node, ast.Name):
    return node.id
  if isinstance(node, ast.Attribute) and dotted(node.value):
    return f'{dotted(node.value)}.{node.attr}'
  return ''


# ---------------------------------------------------------------- imports ----


@dataclasses.dataclass(frozen=True)
class Import:
  """One imported name: `from module import name`, `import module`.

  Attributes:
    module: as it is written, without the dots of a relative import.
    name: of what is taken from the module, or ''.
    renamed: the name after `as`, or ''.
    level: dots of a relative import.
    line: number of the line.
    is_text: whether it is a string.
  """

  module: str
  name: str
  renamed: str
  level: int
  line: int
  is_text: bool = False

  @property
  def full(self) -> str:
    """The dotted name of what is imported."""
    return f'{self.module}.{self.name}'.strip('.')

  def file(self, files: Files) -> str | None:
    """Returns the file that is imported; None if it is not one of ours."""
    whole = file_of(self.full, files)
    if self.level or whole or not self.name:
      return None if self.level else whole
    # A name in a module; a package's __init__ has none.
    module = file_of(self.module, files)
    return module if module and not module.endswith('__init__.py') else None


@functools.cache
def imports(tree: ast.Module) -> list[Import]:
  """Lists every import of a file, wherever it stands in it.

  The name of a module in a string is one too: for importlib, for `python -m`,
  or for the kinds of a folder.
  """
  found = []
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      found += [
        Import(alias.name, '', alias.asname or '', 0, node.lineno)
        for alias in node.names
      ]
    elif isinstance(node, ast.ImportFrom):
      module = node.module or ''
      found += [
        Import(module, alias.name, alias.asname or '', node.level, node.lineno)
        for alias in node.names
      ]
    elif isinstance(node, ast.Call) and node.args:
      # import_module('.a', package), or f'.{name}': what stands first.
      first = node.args[0]
      if isinstance(first, ast.JoinedStr) and first.values:
        first = first.values[0]
      name = getattr(first, 'value', None)
      called = dotted(node.func).split('.')[-1]
      if called in ('import_module', '__import__') and isinstance(name, str):
        if name.startswith('.'):
          found.append(Import(name.strip('.'), '', '', 1, node.lineno))
  # Also f'worldmodels.data.{name}': what stands before the brace.
  for node in strings(tree):
    name = node.value.rstrip('.')
    if re.fullmatch(r'worldmodels(\.\w+)+', name):
      found.append(Import(name, '', '', 0, node.lineno, is_text=True))
  return found


@functools.cache
def strings(tree: ast.Module) -> list[ast.Constant]:
  """Lists the string constants that are not docstrings."""
  prose = {
    id(node.body[0].value)
    for node in ast.walk(tree)
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
    and node.body
    and isinstance(node.body[0], ast.Expr)
  }
  return [
    node
    for node in ast.walk(tree)
    if isinstance(node, ast.Constant)
    and isinstance(node.value, str)
    and id(node) not in prose
  ]


# -------------------------------------------------------------- functions ----


def public_functions(
  tree: ast.Module,
) -> Iterator[tuple[ast.FunctionDef, bool]]:
  """Yields (function, whether it is a method) of all that others may call.

  A constructor and `__call__` are called; a function in a function is not.
  """
  bodies = [(tree.body, False)]
  while bodies:
    body, method = bodies.pop()
    for node in body:
      if isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
        bodies.append((node.body, True))
      elif isinstance(node, ast.FunctionDef):
        called = ('__init__', '__call__')
        if not node.name.startswith('_') or node.name in called:
          yield node, method


def decorators(node: ast.FunctionDef) -> set[str]:
  """Returns the last part of the name of each decorator of a function."""
  return {dotted(x).split('.')[-1] for x in node.decorator_list}


def is_main_guard(node: ast.AST) -> bool:
  """Tells whether a statement is `if __name__ == '__main__'`."""
  return (
    isinstance(node, ast.If)
    and isinstance(node.test, ast.Compare)
    and dotted(node.test.left) == '__name__'
  )


def at_import(node: ast.AST) -> Iterator[ast.AST]:
  """Yields every node that is evaluated when a module is imported."""
  if isinstance(node, ast.Lambda) or is_main_guard(node):
    return
  yield node
  children = ast.iter_child_nodes(node)
  if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
    children = [
      *node.decorator_list,
      *node.args.defaults,
      *(default for default in node.args.kw_defaults if default),
    ]
  for child in children:
    yield from at_import(child)
