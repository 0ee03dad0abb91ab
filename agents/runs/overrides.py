"""Lays another planner over the config of a run that is only looked at.

Weights belong to the rest of a config: a model is what it was trained as. Who
plans in it, and whether the planner acts, may be chosen anew. What the run
lacks of another planner's options is left to that planner. Without TensorFlow,
but for a planner of the user's.
"""

import ast
import difflib
import inspect
from collections.abc import Mapping
from typing import Any

import ml_collections

from worldmodels import errors
from worldmodels import kinds
from worldmodels.agents import suited
from worldmodels.agents.runs import build
from worldmodels.agents.runs import config_checks
from worldmodels.agents.runs import config_keys
from worldmodels.agents.runs import task_checks
from worldmodels.agents.runs.build import ConfigError
from worldmodels.spec import Spec

OPEN = 'planner.* and acting'

_PACKAGE = 'worldmodels.agents.planners'
_MEMBER = 'plan'
_GROUP = 'planner.'
# Options of every planner; see agents/planner.py.
_SHARED = (
  *('kind', 'horizon', 'sample', 'proposals', 'value', 'warm_start', 'replan'),
  *('particles', 'propagation', 'common', 'risk', 'risk_weight'),
)

Values = Mapping[str, Any]


def laid_over(
  config: ml_collections.ConfigDict, spec: Spec, values: Values
) -> ml_collections.ConfigDict:
  """Returns the config of a run with other values of some keys.

  Args:
    config: of the run; it stays as it is.
    spec: of its task.
    values: {key: value, or the text of one}.

  Raises:
    ConfigError: a key is not open, or nothing can be made of its value.
  """
  tree = config.to_dict()
  for name in values:
    _check_open(name, tree)
  if 'acting' in values:
    tree['acting'] = values['acting']
  group = tree.get('planner', {})
  if any(name.startswith(_GROUP) for name in values):
    group['kind'] = str(values.get(f'{_GROUP}kind', group['kind']))
    defaults = _defaults(group['kind'], spec)
    for name, value in values.items():
      option = name.removeprefix(_GROUP)
      if name.startswith(_GROUP) and option != 'kind':
        group[option] = _value(option, value, group, defaults)
    # So that `kind` can be changed by itself.
    kept = f'{_GROUP}kind' in values and f'{_GROUP}proposals' not in values
    if kept and group.get('proposals', 0) > 0:
      kind = suited.planner(group['kind'], spec.discrete)
      if not suited.takes_proposals(kind):
        group['proposals'] = 0
  changed = ml_collections.ConfigDict(tree)
  config_checks.check(changed, stored=True)
  task_checks.check(build.chosen(changed, spec), spec)
  return changed


def differences(
  config: ml_collections.ConfigDict, changed: ml_collections.ConfigDict
) -> dict[str, Any]:
  """Returns {key: value} of what `changed` has otherwise, for a JSON."""
  before = config_checks.flatten(config.to_dict())
  after = config_checks.flatten(changed.to_dict())
  return {
    key: value
    for key, value in sorted(after.items())
    if key not in before or before[key] != value
  }


def _check_open(name: str, tree: dict[str, Any]) -> None:
  """Raises ConfigError for a key that belongs to the weights."""
  if name == 'acting':
    if 'acting' not in tree:
      raise ConfigError(
        f'acting is no key of this run: {tree["agent"]["kind"]!r} has no '
        'choice of who acts'
      )
    return
  group, _, option = name.partition('.')
  if group != 'planner' or not option or '.' in option:
    near = difflib.get_close_matches(group, ('planner', 'acting'), 1, 0.7)
    hint = f'; did you mean {near[0]!r}?' if near and near[0] != group else ''
    raise ConfigError(
      f'{name} belongs to the run, as it was trained: {OPEN} alone may '
      f'differ{hint}'
    )
  if not isinstance(tree.get('planner'), dict):
    raise ConfigError(f'{name}: the config of this run has no planner')


def _defaults(kind: str, spec: Spec) -> dict[str, Any]:
  """Returns {option: default, or None without one} of a planner.

  Raises:
    ConfigError: there is no such planner.
  """
  kind = suited.planner(kind, spec.discrete)
  try:
    with errors.group('planner'):
      if ':' not in kind:
        errors.choose('kind', kind, kinds.names(_PACKAGE, _MEMBER))
        return _of_source(kinds.source(_PACKAGE, kind))
      found = kinds.find(_PACKAGE, kind, _MEMBER)
  except errors.OptionError as error:
    raise ConfigError(str(error)) from error
  parameters = list(inspect.signature(found).parameters.values())[2:]
  return {
    x.name: None if x.default is x.empty else x.default for x in parameters
  }


def _of_source(source: str) -> dict[str, Any]:
  """Returns what `_defaults` does of a file that is not imported yet."""
  (function,) = (
    node
    for node in ast.parse(source).body
    if isinstance(node, ast.FunctionDef) and node.name == _MEMBER
  )
  named = zip(function.args.kwonlyargs, function.args.kw_defaults)
  return {
    argument.arg: ast.literal_eval(default)
    if isinstance(default, ast.Constant | ast.UnaryOp)
    else None
    for argument, default in named
  }


def _value(
  option: str, value: object, group: dict[str, Any], defaults: dict[str, Any]
) -> object:
  """Returns the value of an option, of the type that it has elsewhere.

  Raises:
    ConfigError: no planner has that option, or it has another type.
  """
  key = config_keys.of_package().get(f'{_GROUP}{option}')
  known = {*_SHARED, *group, *defaults}
  if option not in known:
    near = difflib.get_close_matches(option, sorted(known), 1)
    hint = f'; did you mean {near[0]!r}?' if near else ''
    raise ConfigError(
      f'{_GROUP}{option} is no option of {group["kind"]!r}{hint}'
    )
  alike = group[option] if option in group else defaults.get(option)
  kind = key.type if key and key.type else type(alike)
  if isinstance(value, str) and kind is not str:
    value = _parsed(value)
  if kind is float and type(value) is int:
    value = float(value)
  if kind in (bool, int, float, str, tuple):
    problem = config_keys.Key(kind, key.range if key else None, '').problem(
      value
    )
    if problem:
      raise ConfigError(f'{_GROUP}{option} {problem}')
  return value


def _parsed(text: str) -> object:
  """Returns the value that a text stands for; a text that is none stays."""
  if text.lower() in ('true', 'false'):
    return text.lower() == 'true'
  try:
    return ast.literal_eval(text)
  except (ValueError, SyntaxError, RecursionError, MemoryError):
    return text
