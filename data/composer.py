"""What environments of dm_control.composer need that others do not.

A composer environment compiles its model anew at every reset, is limited in
seconds, may fail to place its objects, and keeps random numbers in places that
its `random_state` does not reach: only one that was loaded with a seed starts
the episode of that seed. Nothing here imports dm_control unless that is there.
"""

import dm_env
import numpy as np

# What wrappers call what they wrap.
_WRAPPED = ('_env', 'env', '_environment', 'environment')
_DEEPEST = 10  # wrappers around each other
_ATTEMPTS = 20  # of a reset that is left to chance; most need one


def is_composer(environment: dm_env.Environment) -> bool:
  """Returns whether it is, or wraps, an environment of dm_control.composer."""
  return _inner(environment) is not None


def _inner(environment: object) -> dm_env.Environment | None:
  """Returns the composer environment that one is or wraps."""
  for _ in range(_DEEPEST):
    bases = type(environment).__mro__
    if any(base.__module__.startswith('dm_control.composer') for base in bases):
      return environment
    held = getattr(environment, '__dict__', {})
    names = [name for name in _WRAPPED if name in held]
    if not names:
      return None
    environment = held[names[0]]
  return None


def random_of(environment: dm_env.Environment) -> np.random.RandomState | None:
  """Returns the random numbers that all of an episode depends on, if known.

  They are those of the task in dm_control.suite. Where there are none, another
  seed needs another environment.
  """
  if is_composer(environment):
    return None
  return getattr(getattr(environment, 'task', None), 'random', None)


def step_limit(environment: dm_env.Environment) -> float:
  """Returns the steps of an episode, 0 if it is no composer environment."""
  inner = _inner(environment)
  if inner is None:
    return 0
  # The limit is nowhere in public. It is a sum of steps: the quotient is whole
  # but for rounding.
  return round(inner._time_limit / inner.control_timestep(), 6)


def reset(environment: dm_env.Environment) -> dm_env.TimeStep:
  """Starts an episode, in several attempts if its objects find no place.

  With the same random numbers the attempts are the same as well.
  """
  if not is_composer(environment):
    return environment.reset()
  from dm_control import composer

  for _ in range(_ATTEMPTS - 1):
    try:
      return environment.reset()
    except composer.EpisodeInitializationError:
      continue
  return environment.reset()


def hide_cameras(environment: dm_env.Environment) -> None:
  """Takes its own cameras out of what a composer environment observes.

  The image is rendered by us: theirs would be rendered at each step in vain.
  """
  from dm_control.composer.observation import observable

  kinds = (observable.MJCFCamera, observable.MujocoCamera)
  for shown in environment.task.observables.values():
    if isinstance(shown, kinds):
      shown.enabled = False
