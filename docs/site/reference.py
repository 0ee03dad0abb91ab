"""Makes the pages of the reference from the docstrings of the code.

The code is read and not imported, so that nothing needs TensorFlow. What begins
with _ is nobody's but its file's, and is left out. A page is Markdown for MyST:
a directive of Sphinx's for each class and function, so that its index and its
search know them, and in it the docstring, which is nearly Markdown as it is.
"""

import ast
import dataclasses
import pathlib
import re
import textwrap

FOLDERS = ('worldmodels', 'agents', 'data', 'configs')
# What the package starts itself, and the old commands of a checkout.
_LEFT_OUT = ('agents/run/', 'data/check/', '__main__.py')
# Sections of Google's docstrings.
_SECTION = re.compile(r'(Args|Attributes|Returns|Yields|Raises):')
_ENTRY = re.compile(r'(\*{0,2}\w[\w, .*]*?): (.*)', re.DOTALL)
# What Markdown would take for something else, outside of `code`.
_SPECIAL = re.compile(r'(`[^`\n]+`)|([*_<>|$\[\]{}])')

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclasses.dataclass(frozen=True)
class Module:
  """A file of the package.

  Attributes:
    path: in the repository.
    tree: its code.
  """

  path: str
  tree: ast.Module

  @property
  def public(self) -> list[ast.ClassDef | Function]:
    """The classes and functions that are for others, in their order."""
    return _public(self.tree)

  @property
  def first_line(self) -> str:
    """The first line of its docstring."""
    return (ast.get_docstring(self.tree) or '').partition('\n')[0]


def modules(root: pathlib.Path) -> dict[str, Module]:
  """Reads all modules of the package: {name: module}.

  Args:
    root: of the repository.
  """
  found = {}
  for folder in FOLDERS:
    for file in sorted((root / folder).rglob('*.py')):
      path = file.relative_to(root).as_posix()
      if path.startswith(_LEFT_OUT[:2]) or path.endswith(_LEFT_OUT[2:]):
        continue
      found[name_of(path)] = Module(path, ast.parse(file.read_text()))
  return dict(sorted(found.items()))


def name_of(path: str) -> str:
  """Returns the name by which a file of the repository is imported."""
  name = path.removesuffix('.py').removesuffix('/__init__').replace('/', '.')
  return name if name.split('.')[0] == FOLDERS[0] else f'{FOLDERS[0]}.{name}'


def index(found: dict[str, Module]) -> str:
  """Returns the page that lists all modules."""
  lines = [
    '# Reference',
    '',
    'Every module, class and function, from its docstring. What begins with',
    "`_` is nobody's but its file's. Where to begin: [as a library]"
    '(../docs/library.md), [extending](../docs/extending.md).',
    '',
    '| module | |',
    '|---|---|',
    *(
      f'| [{name}]({name}.md) | {_escaped(module.first_line)} |'
      for name, module in found.items()
    ),
    '',
    '```{toctree}',
    ':hidden:',
    '',
    *found,
    '```',
  ]
  return '\n'.join(lines) + '\n'


def page(name: str, module: Module) -> str:
  """Returns the page of a module."""
  parts = [f'# {name}', f'```{{py:module}} {name}\n```', f'`{module.path}`']
  parts.append(markdown(ast.get_docstring(module.tree) or ''))
  parts += [_directive(node, fence=7) for node in module.public]
  return '\n\n'.join(filter(None, parts)) + '\n'


def _directive(node: ast.AST, fence: int, kind: str = 'function') -> str:
  """Returns the directive of a class or function, its docstring inside."""
  lines, inside = [], [markdown(ast.get_docstring(node) or '')]
  if isinstance(node, ast.ClassDef):
    kind, signature = 'class', f'{node.name}{_constructor(node)}'
    bases = ', '.join(map(ast.unparse, node.bases))
    if bases:
      inside.insert(0, f'Of `{bases}`.')
    for member in _public(node):
      if ast.get_docstring(member):  # Others say nothing that a base has not.
        inside.append(_directive(member, fence - 1, 'method'))
  else:
    decorators = {ast.unparse(x) for x in node.decorator_list}
    returned = f' -> {ast.unparse(node.returns)}' if node.returns else ''
    signature = f'{node.name}{_arguments(node, kind == "method")}{returned}'
    if decorators & {'property', 'functools.cached_property'}:
      kind, signature = 'property', node.name
      lines += [f':type: {returned[4:]}'] if returned else []
    elif 'classmethod' in decorators:
      lines.append(':classmethod:')
    elif 'staticmethod' in decorators:
      lines.append(':staticmethod:')
  marks = '`' * fence
  head = '\n'.join([f'{marks}{{py:{kind}}} {signature}', *lines])
  body = '\n\n'.join(filter(None, inside))
  return f'{head}\n\n{body}\n{marks}'


def _public(node: ast.Module | ast.ClassDef) -> list[ast.ClassDef | Function]:
  return [
    child
    for child in node.body
    if isinstance(child, ast.ClassDef | Function)
    and not child.name.startswith('_')
  ]


def _constructor(node: ast.ClassDef) -> str:
  """Returns the arguments of a class, if it has a constructor."""
  for child in node.body:
    if isinstance(child, Function) and child.name == '__init__':
      return _arguments(child, method=True)
  return ''


def _arguments(node: Function, method: bool) -> str:
  """Returns the arguments of a function in brackets."""
  arguments = ast.parse(ast.unparse(node)).body[0].args
  if method and 'staticmethod' not in map(ast.unparse, node.decorator_list):
    (arguments.posonlyargs or arguments.args)[:1] = []
  return f'({ast.unparse(arguments)})'


# ------------------------------------------------------------- docstrings ----


def markdown(docstring: str) -> str:
  """Returns a docstring as Markdown."""
  blocks = re.split(r'\n{2,}', docstring.strip())
  return '\n\n'.join(filter(None, map(_block, blocks)))


def _block(block: str) -> str:
  """Returns a paragraph, a section or lines of code as Markdown."""
  first, _, rest = block.partition('\n')
  match = _SECTION.fullmatch(first)
  if match:
    text = textwrap.dedent(rest)
    named = match[1] not in ('Returns', 'Yields')
    return f'**{match[1]}**\n\n{_entries(text) if named else _escaped(text)}'
  # Indented lines below a line of text are as they are, and so are tables.
  lines = block.splitlines()
  start = next((i for i, x in enumerate(lines) if x.startswith('  ')), None)
  if start is None:
    return _escaped(block)
  text = _escaped('\n'.join(lines[:start]))
  code = textwrap.dedent('\n'.join(lines[start:]))
  return f'{text}\n\n```text\n{code}\n```'.strip()


def _entries(text: str) -> str:
  """Returns the entries of a section as a list."""
  found = []
  for entry in re.split(r'\n(?=\S)', text):
    entry = ' '.join(line.strip() for line in entry.splitlines())
    match = _ENTRY.fullmatch(entry)
    found.append(
      f'- `{match[1]}`: {_escaped(match[2])}'
      if match
      else f'- {_escaped(entry)}'
    )
  return '\n'.join(found)


def _escaped(text: str) -> str:
  """Returns text in which nothing but `code` is more than text."""
  text = _SPECIAL.sub(lambda match: match[1] or f'\\{match[2]}', text)
  return re.sub(r'^(\s*)([#+-]|\d+\.)(?=\s)', r'\1\\\2', text, flags=re.M)
