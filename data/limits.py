"""Finds out after how many steps an episode is cut.

A task may name a limit, and a config another one; the lower one counts. Where
nobody names any, an episode is cut as well: one without an end would fill the
memory, and nothing would be learned before.
"""

import math
import numbers

import dm_env

from worldmodels.data import composer

UNNAMED = 1000  # env_steps, where nobody names a limit

# What is said of a task whose `step_limit` is None.
NO_LIMIT = (
  f'the task names no step_limit: an episode is cut after {UNNAMED} env_steps; '
  'environment.step_limit sets another limit'
)


def of(environment: dm_env.Environment) -> int:
  """Returns the steps that a task names, 0 if it names none.

  Raises:
    ValueError: it names something else than a number.
  """
  # dm_control has the limit of its environments nowhere in public.
  limit = getattr(
    environment, 'step_limit', getattr(environment, '_step_limit', None)
  )
  if limit is None:
    limit = composer.step_limit(environment)
  if not isinstance(limit, numbers.Real):
    raise ValueError(f'its step_limit is {limit!r}: expected a number')
  return math.ceil(limit) if math.isfinite(limit) and limit > 0 else 0


def choose(own: int, asked: int) -> tuple[int, bool]:
  """Chooses a limit.

  Args:
    own: env_steps that the task names, 0 for none.
    asked: env_steps that the config names, 0 for none.

  Returns:
    Env_steps after which an episode is cut, and whether anybody names them.
  """
  named = [limit for limit in (own, asked) if limit]
  return min(named, default=UNNAMED), bool(named)
