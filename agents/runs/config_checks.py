"""Finds values of a config that contradict each other, without TensorFlow."""

import ml_collections

from worldmodels.agents.runs.build import ConfigError

# Values that are at least 1, where the config has them.
_POSITIVE = (
  *('train.batch', 'train.updates', 'train.seed_episodes', 'train.checkpoints'),
  *('evaluate.every', 'evaluate.episodes', 'evaluate.last_episodes'),
  *('evaluate.context', 'evaluate.horizon'),
  *('planner.horizon', 'planner.iterations'),
  *('learner.horizon', 'learner.critic.slow_every'),
)
# Values that are at least 0.
_NOT_NEGATIVE = ('train.first_updates', 'store.capacity', 'learner.starts')


def check(config: ml_collections.ConfigDict) -> None:
  """Raises ConfigError for values that contradict each other."""
  values = flatten(config.to_dict())
  for least, keys in ((1, _POSITIVE), (0, _NOT_NEGATIVE)):
    for key in keys:
      if values.get(key, least) < least:
        raise ConfigError(f'{key} is {values[key]}; it is at least {least}')
  if not 0 <= config.seed < 2**32:
    raise ConfigError(f'seed is {config.seed}; it is 0 to 2**32 - 1')
  for key in ('image', 'reward'):
    if config.heads[key].kind == 'none':
      raise ConfigError(f'heads.{key}.kind is none; every model has that head')
  train = config.train
  if train.episodes < train.seed_episodes:
    raise ConfigError(
      f'train.episodes is {train.episodes}; it is at least '
      f'train.seed_episodes ({train.seed_episodes})'
    )
  if train.length <= config.overshooting.steps + 1:
    raise ConfigError(
      f'train.length is {train.length}; it is more than '
      f'overshooting.steps + 1 ({config.overshooting.steps + 1})'
    )
  planner = config.get('planner', {})
  if 'elites' in planner and not 1 <= planner.elites <= planner.candidates:
    raise ConfigError(
      f'planner.elites is {planner.elites}; it is 1 to planner.candidates '
      f'({planner.candidates})'
    )


def flatten(tree: dict, prefix: str = '') -> dict:
  """Returns {'a.b': leaf} of nested dicts."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, dict):
      flat.update(flatten(value, f'{prefix}{key}.'))
    else:
      flat[prefix + key] = value
  return flat
