"""Finds what of a config does not suit its task, without TensorFlow."""

import re
from collections.abc import Iterator

import ml_collections

from worldmodels import kinds
from worldmodels.agents.runs.build import ConfigError
from worldmodels.spec import Spec

# What a batch has of every task.
_NUMBERS = ('reward', 'discount')
# Terms of the loss that are of no head: worldmodels/world_model.py.
_TERMS = re.compile('kl|divergence|overshoot_(kl|reward|image)')
# How a file says that its kind is for one-hot actions.
_DISCRETE = re.compile(r'^ *discrete = True\b', re.IGNORECASE | re.MULTILINE)
_PLANNERS = 'worldmodels.agents.planners'
_DISTRIBUTIONS = 'worldmodels.agents.action_distributions'


def check(config: ml_collections.ConfigDict, spec: Spec) -> None:
  """Raises ConfigError for what does not suit the task.

  Args:
    config: checked, with kinds for this task in the place of `auto`.
    spec: of the task.
  """
  if 'heads' in config:
    _check_heads(config.heads, spec)
  for group, kind, discrete in _kinds_for_actions(config):
    if discrete != spec.discrete:
      actions = 'discrete' if spec.discrete else 'continuous'
      raise ConfigError(
        f'{group}.kind is {kind!r}, but the actions of the task are {actions}: '
        f'set {group}.kind=auto'
      )
    least = config.get(group, {}).get('min_probability')
    if group == 'planner' and discrete and least is not None:
      _check_least(kind, least, spec.actions)


def _check_heads(heads: ml_collections.ConfigDict, spec: Spec) -> None:
  """Raises ConfigError for heads of what the task does not show."""
  if spec.image and heads.image.kind == 'none':
    raise ConfigError(
      'heads.image.kind is none; every model of a task with images has that '
      'head: to learn from vectors alone set environment.image=none'
    )
  for name, head in heads.items():
    if _TERMS.fullmatch(name):
      raise ConfigError(
        f'heads.{name} has the name of another term of the loss: rename the '
        'vector of the task'
      )
    known = name in ('image', *_NUMBERS) or name in spec.vectors
    if not known and head.kind != 'none':
      raise ConfigError(
        f'heads.{name} predicts a vector that is not observed: set '
        f'environment.vectors={(*spec.vectors, name)}, or leave the head out'
      )


def _check_least(kind: str, least: float, actions: int) -> None:
  """Raises ConfigError if not all choices can have the least probability."""
  takes = 'min_probability' in kinds.keywords(_PLANNERS, kind, 'plan')
  if takes and least * actions > 1:
    raise ConfigError(
      f'planner.min_probability is {least}; of {actions} choices it is at most '
      f'{1 / actions:.3g}'
    )


def _kinds_for_actions(
  config: ml_collections.ConfigDict,
) -> Iterator[tuple[str, str, bool]]:
  """Yields (group, kind, whether it is for one-hot actions) of what acts.

  Of the package's; a module of the user's may load TensorFlow.
  """
  agent = config.agent.kind
  plans = config.get('acting') == 'planner' or (
    config.get('exploring', 'policy') != 'policy'
  )
  found = []
  if agent in ('planet', 'plan2explore') or (agent == 'dreamer' and plans):
    found.append(('planner', _PLANNERS))
  learner = config.get('learner', {}).get('kind')
  if agent == 'model_free' or (
    agent == 'dreamer' and learner == 'actor_critic'
  ):
    found.append(('learner.actor', _DISTRIBUTIONS))
  for group, package in found:
    kind = config.learner.actor.kind if '.' in group else config.planner.kind
    if ':' not in kind:
      source = kinds.source(package, kind)
      yield group, kind, _DISCRETE.search(source) is not None
