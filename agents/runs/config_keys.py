"""What configs say of their keys: type, range and comment of each.

The comment beside a key begins with its range, in a file of configs/ where the
key is set first, and nowhere else:

  bits=5,  # [1, 8] color depth
  rate=1e-3,  # (0, 1] learning rate
  channels=(32, 64),  # [1, 4096] each
  padding='valid',  # {valid, same}
  kind='cem',  # {auto, agents/planners/}

An interval is of numbers, finite ones; at a round bracket its end is left out.
Braces list choices, where a folder stands for its kinds and for `module:name`,
and `activations` and `initializers` for those of Keras.
What has no range is any text that is not empty, or is true or false. The type
is that of the value. A user's file of configs may do the same for its own keys.
"""

import ast
import contextlib
import dataclasses
import functools
import io
import pathlib
import re
import tokenize
from collections.abc import Iterator, Mapping
from typing import Any

import worldmodels
from worldmodels.agents.runs.ranges import Choices
from worldmodels.agents.runs.ranges import Interval

_INTERVAL = re.compile(r'([\[(])([-+.\de]+), ([-+.\de]+|inf)([\])])\s*(.*)')
_CHOICES = re.compile(r'\{([^}]*)\}\s*(.*)')
_TYPES = {
  bool: 'True or False',
  int: 'a whole number',
  float: 'a number',
  str: 'text',
  tuple: 'a tuple',
}


@dataclasses.dataclass(frozen=True)
class Key:
  """What a config says of a key.

  Attributes:
    type: of its value; None if that is computed.
    range: of the value, or of each in a tuple; None if all are fine.
    note: the comment, without the range.
    part: type of each part of a tuple; None if nothing says so.
  """

  type: type | None
  range: Interval | Choices | None
  note: str
  part: type | None = None

  def __str__(self) -> str:
    written = self.range.written if self.range else ''
    return f'{written} {self.note}'.strip()

  def problem(self, value: Any) -> str | None:  # noqa: ANN401 (is what is asked)
    """Returns what is wrong with a value, and what would be right; or None."""
    if isinstance(value, list):  # As JSON has tuples.
      value = tuple(value)
    shown = repr(value)[:80]  # Of a file of any size.
    if self.type and not _is_of(value, self.type):
      return f'is {shown}; it is {_TYPES[self.type]}'
    each = 'each part' if isinstance(value, tuple) else 'it'
    parts = value if isinstance(value, tuple) else (value,)
    for part in parts:
      wrong = self._problem_of(part, isinstance(value, tuple))
      if wrong:
        return f'is {shown}; {each} is {wrong}'
    if len({*parts}) < len(parts) and isinstance(parts[0], str):
      return f'is {shown}; it has a name twice'
    return None

  def _problem_of(self, value: Any, part: bool) -> str | None:  # noqa: ANN401
    """Returns what a value, or part of a tuple, has to be if it is not."""
    if isinstance(self.range, Interval):
      whole = (self.part is not float) if part else self.type is int
      if not _is_of(value, int if whole else float):
        return f'{_TYPES[int if whole else float]}, {self.range}'
      return None if value in self.range else str(self.range)
    if self.range is not None:
      return None if value in self.range else str(self.range)
    kind = self.part or str
    if part and not _is_of(value, kind):
      return 'a name, in quotes' if kind is str else _TYPES[kind]
    return 'not empty' if value == '' else None


def of_package() -> dict[str, Key]:
  """Returns what the configs of the package say: {name of a key: Key}."""
  return dict(_of_package())


@functools.cache
def _of_package() -> dict[str, Key]:
  # By path: programs alone import configs.
  paths = [
    path
    for place in worldmodels.__path__
    for path in pathlib.Path(place, 'configs').glob('*.py')
  ]
  # The others start from what PlaNet has.
  paths.sort(key=lambda path: (path.stem != 'planet', path.stem))
  found: dict[str, Key] = {}
  for path in paths:
    found = merge(found, read(path.read_text()))
  return found


def merge(first: Mapping[str, Key], then: Mapping[str, Key]) -> dict[str, Key]:
  """Returns the keys of both; of `then`, only a range replaces another."""
  found = dict(first)
  for name, key in then.items():
    found[name] = _latest(found.get(name), key)
  return found


def _latest(old: Key | None, key: Key) -> Key:
  """Returns what is known of a key that is set once more."""
  if old is None:
    return key
  if key.range is None and (old.range or old.note):
    return old
  # Of a number with a fraction, 1 is one as well.
  same = key.type is None or {old.type, key.type} == {int, float}
  return dataclasses.replace(key, type=old.type if same else key.type)


def read(source: str) -> dict[str, Key]:
  """Returns what a file of configs says of the keys that it sets."""
  found: dict[str, Key] = {}
  for name, value, comment in places(source):
    found[name] = _latest(found.get(name), _key(value, comment))
  return found


def places(source: str) -> Iterator[tuple[str, ast.expr, str]]:
  """Yields (key, value, comment beside it) of each place where one is set."""
  comments = {
    token.start[0]: token.string.lstrip('# ')
    for token in tokenize.generate_tokens(io.StringIO(source).readline)
    if token.type == tokenize.COMMENT
  }

  def within(key: str, node: ast.expr) -> Iterator[tuple[str, ast.expr, str]]:
    if isinstance(node, ast.Call):  # dict(...), config_dict.create(...)
      for argument in node.args:
        yield from within(key, argument)
      for word in node.keywords:
        if word.arg:  # **options are set somewhere else.
          yield from within(f'{key}.{word.arg}', word.value)
    else:
      lines = (node.lineno, node.end_lineno)
      yield key, node, next(filter(None, map(comments.get, lines)), '')

  nodes = [node for node in ast.walk(ast.parse(source)) if _sets(node)]
  for node in sorted(nodes, key=lambda node: node.lineno):
    if isinstance(node, ast.Assign):
      target = ast.unparse(node.targets[0])
      yield from within(target.partition('.')[2], node.value)
    else:
      target = ast.unparse(node.func).removesuffix('.update')
      yield from within(target.partition('.')[2], node)


def _sets(node: ast.AST) -> bool:
  """Returns whether a node is config.KEY = ... or config.GROUP.update(...)."""
  if isinstance(node, ast.Assign):
    return (
      re.match(r'config\.[\w.]+$', ast.unparse(node.targets[0])) is not None
    )
  if isinstance(node, ast.Call):
    return (
      re.match(r'config\.[\w.]+\.update$', ast.unparse(node.func)) is not None
    )
  return False


def _key(value: ast.expr, comment: str) -> Key:
  kind = part = found = None
  with contextlib.suppress(ValueError):  # It is computed.
    known = ast.literal_eval(value)
    kind = tuple if isinstance(known, list) else type(known)
    if kind is tuple:
      kinds = {type(x) for x in known}
      # Of numbers with fractions, 1 is one as well.
      part = float if kinds == {int, float} else None
      part = kinds.pop() if len(kinds) == 1 else part
  interval, choices = _INTERVAL.match(comment), _CHOICES.match(comment)
  if interval:
    left, low, high, right, comment = interval.groups()
    found = Interval(float(low), float(high), left == '[', right == ']')
  elif choices:
    found = Choices(tuple(map(str.strip, choices[1].split(','))))
    comment = choices[2]
  return Key(kind, found, comment, part)


def lookup(keys: Mapping[str, Key], name: str) -> Key | None:
  """Returns what is known of a key; heads of other keys are like ours."""
  known = keys.get(name)
  group, _, rest = name.partition('.')
  _, _, option = rest.partition('.')
  if group != 'heads' or not option or (known and known.range):
    return known
  alike = 'image' if option == 'share' else 'reward'
  key = keys.get(f'heads.{alike}.{option}', known)
  if option == 'kind':
    return dataclasses.replace(
      key, range=Choices(('none', 'worldmodels/heads/'))
    )
  return key


def _is_of(value: object, kind: type) -> bool:
  """Returns whether a value is of a type; a bool is no number, 1 a float."""
  if kind is float:
    return isinstance(value, int | float) and not isinstance(value, bool)
  if kind is int:
    return isinstance(value, int) and not isinstance(value, bool)
  return isinstance(value, kind)
