"""The flags --start_timeout and --step_timeout of programs that run tasks."""

from collections.abc import Callable

from absl import flags

from worldmodels.data import workers

_LONGEST = 7 * 24 * 3600  # s

# The flags are of the program that calls `define`, and shown in its help.
flags.disclaim_key_flags()


def define() -> Callable[[], dict[str, float]]:
  """Defines both; returns a function of their values for workers.start."""
  start = flags.DEFINE_integer(
    'start_timeout',
    workers.START_SECONDS,
    'Seconds that the task may take to start.',
    lower_bound=1,
    upper_bound=_LONGEST,
  )
  step = flags.DEFINE_integer(
    'step_timeout',
    workers.STEP_SECONDS,
    'Seconds that a step or a reset of the task may take.',
    lower_bound=1,
    upper_bound=_LONGEST,
  )
  return lambda: {'start_timeout': start.value, 'timeout': step.value}
