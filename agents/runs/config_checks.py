"""Finds what is wrong with a config, without TensorFlow.

What is missing, then values out of the range that configs/*.py state, then
values that contradict each other. Of what does not suit a task: task_checks.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import ml_collections

from worldmodels.agents.runs import build
from worldmodels.agents.runs import config_keys
from worldmodels.agents.runs import contradictions
from worldmodels.agents.runs.build import ConfigError

Tree = dict[str, Any]

# What nothing can be made without, of each group that is there. The other keys
# are options of kinds, each of which says itself what it lacks.
_NEEDED = {
  '': (
    *('preset', 'task', 'seed', 'agent', 'environment', 'store', 'train'),
    'evaluate',
  ),
  'agent': ('kind',),
  'dynamics': ('kind',),
  'heads': ('image', 'reward'),
  'kl': ('scale',),
  'optimizer': ('rate', 'epsilon', 'clip'),
  'planner': ('kind', 'horizon', 'sample'),
}
_NEEDED_BY_AGENT = {
  'planet': ('agent.sample_states', 'optimizer', 'planner', 'exploration'),
  'plan2explore': (
    *('agent.sample_states', 'optimizer', 'planner', 'exploration'),
    *('curiosity', 'curiosity.members', 'curiosity.optimizer'),
  ),
  'dreamer': (
    *('agent.sample_states', 'optimizer', 'planner', 'exploration'),
    *('learner', 'acting'),
  ),
  'model_free': (
    *('agent.frames', 'agent.shift', 'encoder', 'optimizer', 'learner'),
    *('learner.gamma', 'learner.steps', 'learner.features'),
    *('learner.target_entropy', 'learner.choice_entropy'),
    *('learner.temperature', 'learner.temperature_rate'),
    *('learner.actor', 'learner.critic', 'learner.actor.kind'),
    *('learner.actor.distributions', 'learner.actor.optimizer'),
    *(f'learner.actor.optimizer.{x}' for x in ('rate', 'epsilon', 'clip')),
    *('learner.critic.kind', 'learner.critic.slow_share'),
  ),
}
_WITH_MODEL = ('planet', 'dreamer')
# Of a world model all or nothing, and of a learner in it.
_NEEDED_BY_MODEL = {'': ('encoder', *build.MODEL), 'learner': ('kind',)}
_NEEDED_BY_ACTOR_CRITIC = {
  'learner': ('actor', 'critic'),
  'learner.actor': ('kind', 'distributions', 'optimizer'),
  'learner.actor.optimizer': ('rate', 'epsilon', 'clip'),
  'learner.critic': ('kind', 'optimizer'),
  'learner.critic.optimizer': ('rate', 'epsilon', 'clip'),
}
# Groups that need all keys of the package's configs, and that take no others.
_WHOLE = ('environment', 'store', 'train', 'evaluate', 'overshooting')
_CLOSED = (*_WHOLE, 'kl', 'optimizer')


def check(
  config: ml_collections.ConfigDict,
  own: Mapping[str, config_keys.Key] | None = None,
  stored: bool = False,
) -> None:
  """Raises ConfigError for what nothing can be made of.

  Args:
    config: as configs/*.py make it.
    own: what the user's file says of its keys, beside the package's.
    stored: whether it is of a run, which starts from no preset any more.
  """
  package = config_keys.of_package()
  keys = config_keys.merge(package, own or {})
  tree = config.to_dict()
  _check_groups(tree, package, stored)
  for name, key in package.items():
    group, _, last = name.rpartition('.')
    value = _option(tree, group, last)
    if isinstance(value, dict):  # Of which there may be no leaf.
      raise ConfigError(f'{name} {key.problem(value)}')
  if 'heads' in tree:
    _check_heads(tree, stored)
  for name, value in flatten(tree).items():
    key = config_keys.lookup(keys, name)
    problem = key and key.problem(value)
    if problem:
      raise ConfigError(f'{name} {problem}')
  for problem in contradictions.found(tree):
    raise ConfigError(problem)


def _check_heads(tree: Tree, stored: bool) -> None:
  """Raises ConfigError for a world model without a head that each has."""
  if tree['heads']['reward']['kind'] == 'none':
    raise ConfigError('heads.reward.kind is none; every model has that head')
  vectors_alone = stored or tree['environment']['image'] == 'none'
  if tree['heads']['image']['kind'] == 'none' and not vectors_alone:
    raise ConfigError(
      'heads.image.kind is none; every model has that head, unless '
      'environment.image is none as well'
    )


def flatten(tree: Tree, prefix: str = '') -> Tree:
  """Returns {'a.b': leaf} of nested dicts."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, dict):
      flat.update(flatten(value, f'{prefix}{key}.'))
    else:
      flat[prefix + key] = value
  return flat


def _check_groups(
  tree: Tree, keys: Mapping[str, config_keys.Key], stored: bool
) -> None:
  """Raises ConfigError for keys that are missing, or that nothing takes."""
  for name in _needed(tree, keys):
    group, _, last = name.rpartition('.')
    there = _group(tree, group)
    # What is not there at all is asked for by the group that it is in.
    if there is None or last in there:
      continue
    below = any(key.startswith(f'{name}.') for key in keys)
    start = "; start from a preset, as in config = planet.get_config('cpu')"
    raise ConfigError(
      f'the config has no {"group" if below else "key"} {name!r}'
      f'{"" if stored else start}'
    )
  for group in _CLOSED:
    known = sorted(
      name.removeprefix(f'{group}.')
      for name in keys
      if name.startswith(f'{group}.')
    )
    for name in _group(tree, group) or ():
      if name not in known:
        raise ConfigError(
          f'{group}.{name} is no option; there are {", ".join(known)}'
        )


def _needed(tree: Tree, keys: Mapping[str, config_keys.Key]) -> Iterator[str]:
  """Yields the names of what has to be there, groups before their keys."""
  kind = str(_option(tree, 'agent', 'kind'))
  groups = [*_NEEDED.items(), ('', _NEEDED_BY_AGENT.get(kind, ()))]
  if kind in _WITH_MODEL or tree.keys() & {*build.MODEL}:
    groups[1:1] = _NEEDED_BY_MODEL.items()
  if _option(tree, 'learner', 'kind') == 'actor_critic':
    groups += _NEEDED_BY_ACTOR_CRITIC.items()
  for head, options in (_group(tree, 'heads') or {}).items():
    if not isinstance(options, dict) or options.get('kind') != 'none':
      groups.append((f'heads.{head}', ('kind', 'scale')))
  for group, names in groups:
    yield from (f'{group}.{name}'.lstrip('.') for name in names)
  yield from (
    name for name in keys if name.startswith(tuple(f'{x}.' for x in _WHOLE))
  )


def _option(tree: Tree, group: str, name: str) -> object:
  """Returns an option of a group; None if there is none."""
  return (_group(tree, group) or {}).get(name)


def _group(tree: Tree, name: str) -> Tree | None:
  """Returns the group called `name`; None if there is none.

  Raises:
    ConfigError: there is something else of that name.
  """
  found = tree
  for part in filter(None, name.split('.')):
    found = found.get(part)
    if found is None:
      return None
    if not isinstance(found, dict):
      raise ConfigError(f'{name} is {repr(found)[:80]}; it is a group of keys')
  return found
