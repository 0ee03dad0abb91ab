"""Flags of programs that play episodes: how many, of what seed, how wide."""

from absl import flags

# The flags are of the program that calls this, and shown in its help.
flags.disclaim_key_flags()


def episodes(default: int, what: str = 'How many to run.') -> flags.FlagHolder:
  """Defines --episodes, and returns its holder."""
  return flags.DEFINE_integer(
    'episodes', default, what, lower_bound=1, upper_bound=100_000
  )


def seed(what: str) -> flags.FlagHolder:
  """Defines --seed of the episodes of `seeds.of_played`."""
  return flags.DEFINE_integer(
    'seed', 0, what, lower_bound=0, upper_bound=2**32 - 1
  )


def parallel(more: str = '') -> flags.FlagHolder:
  """Defines --parallel: how many environments there are.

  Args:
    more: what else is to be said of an episode beside another.
  """
  return flags.DEFINE_integer(
    'parallel',
    1,
    f'Episodes run side by side{more}; the random numbers of the planner '
    'depend on it.',
    lower_bound=1,
    upper_bound=256,
  )
