"""Finds what is wrong with a config, without TensorFlow.

What is missing, then values out of the range that configs/*.py state, then
values that contradict each other. Of what does not suit a task: task_checks.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import ml_collections

from worldmodels import kinds
from worldmodels.agents.runs import config_keys
from worldmodels.agents.runs.build import ConfigError

Tree = dict[str, Any]

# What nothing can be made without, of each group that is there. The other keys
# are options of kinds, each of which says itself what it lacks.
_NEEDED = {
  '': (
    *('preset', 'task', 'seed', 'agent', 'environment', 'store', 'train'),
    *('evaluate', 'encoder', 'dynamics', 'heads', 'kl', 'overshooting'),
  ),
  'agent': ('kind',),
  'dynamics': ('kind',),
  'heads': ('image', 'reward'),
  'kl': ('scale',),
  'optimizer': ('rate', 'epsilon', 'clip'),
  'planner': ('kind', 'horizon', 'sample'),
  'learner': ('kind',),
}
_NEEDED_BY_AGENT = {
  'planet': ('agent.sample_states', 'optimizer', 'planner', 'exploration'),
  'dreamer': (
    *('agent.sample_states', 'optimizer', 'planner', 'exploration'),
    *('learner', 'acting'),
  ),
}
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
  if tree['heads']['reward']['kind'] == 'none':
    raise ConfigError('heads.reward.kind is none; every model has that head')
  vectors_alone = stored or tree['environment']['image'] == 'none'
  if tree['heads']['image']['kind'] == 'none' and not vectors_alone:
    raise ConfigError(
      'heads.image.kind is none; every model has that head, unless '
      'environment.image is none as well'
    )
  for name, value in flatten(tree).items():
    key = config_keys.lookup(keys, name)
    problem = key and key.problem(value)
    if problem:
      raise ConfigError(f'{name} {problem}')
  for problem in _contradictions(tree):
    raise ConfigError(problem)


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
  agent = _NEEDED_BY_AGENT.get(str(_option(tree, 'agent', 'kind')), ())
  groups = [*_NEEDED.items(), ('', agent)]
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


def _contradictions(tree: Tree) -> Iterator[str]:
  """Yields what is wrong with values that are each within their range."""
  train, steps = tree['train'], tree['overshooting']['steps']
  if train['episodes'] < train['seed_episodes']:
    yield (
      f'train.episodes is {train["episodes"]}; it is at least '
      f'train.seed_episodes ({train["seed_episodes"]})'
    )
  if train['length'] <= steps + 1:
    yield (
      f'train.length is {train["length"]}; it is more than overshooting.steps '
      f'+ 1 ({steps + 1})'
    )
  planner = tree.get('planner', {})
  if {'elites', 'candidates'} <= planner.keys() and _has_elites(planner):
    if planner['elites'] > planner['candidates']:
      yield (
        f'planner.elites is {planner["elites"]}; it is 1 to '
        f'planner.candidates ({planner["candidates"]})'
      )
  for group in (*(f'heads.{name}' for name in tree['heads']), 'learner.critic'):
    options = _group(tree, group) or {}
    if options.get('kind') == 'two_hot' and options.get('bins', 3) % 2 == 0:
      yield f'{group}.bins is {options["bins"]}; it is odd'
  bounded = 'learner.actor.distributions.bounded_normal'
  options = _group(tree, bounded) or {}
  if options.get('min_std', 0) > options.get('max_std', 1):
    yield (
      f'{bounded}.min_std is {options["min_std"]}; it is at most max_std '
      f'({options["max_std"]})'
    )
  if len(tree['environment']['crop']) not in (0, 4):
    yield (
      f'environment.crop is {tuple(tree["environment"]["crop"])}; it is the '
      'pixels to cut off at top, bottom, left and right, or ()'
    )
  yield from _image_contradictions(tree)


def _has_elites(planner: Tree) -> bool:
  """Returns whether a planner, of the package's if known, takes elites."""
  package, kind = 'worldmodels.agents.planners', planner.get('kind')
  if kind not in kinds.names(package, 'plan'):
    return True
  return 'elites' in kinds.keywords(package, kind, 'plan')


def _image_contradictions(tree: Tree) -> Iterator[str]:
  """Yields what is wrong with networks for images of this size."""
  size = tree['environment']['size']
  encoder, head = tree['encoder'], tree['heads']['image']
  # What lacks one of these options is answered by those who make it.
  needed = {'padding', 'channels', 'kernel'}
  convolves = (
    encoder.get('kind') == 'convolutional' and needed <= encoder.keys()
  )
  if convolves and encoder['padding'] == 'valid':
    left = size
    for index, _ in enumerate(encoder['channels']):
      if left < encoder['kernel']:
        yield (
          f'encoder.kernel is {encoder["kernel"]}; convolution {index + 1} of '
          f'encoder.channels gets a map of {left} x {left} from images of '
          f'{size} x {size}'
        )
        return
      left = (left - encoder['kernel']) // 2 + 1
  channels = len(head.get('channels', ()))
  if head['kind'] == 'keypoints' and 'side' in head:
    drawn = head['side'] * 2 ** (channels + 1)
    if drawn != size:
      yield (
        f'heads.image draws {drawn} x {drawn}, its side ({head["side"]}) '
        f'doubled by each of its channels ({channels}) and once more; '
        f'environment.size is {size}'
      )
  if head['kind'] == 'convolutional' and 'start' in head:
    layers = 3 if head['start'] == 1 else 4
    if channels not in (layers - 1, layers):
      yield (
        f'heads.image.channels is {head["channels"]}; from a start of '
        f'{head["start"]} it has {layers} parts'
      )
    if size != 64:
      yield f'environment.size is {size}; heads.image draws 64 x 64'
