"""Which episodes of a store are there, by number.

Numbers go on after a stop and may be missing: the oldest, deleted to keep
within the capacity, and those whose files were damaged and set aside. Files of
other origin have none and come first.
"""

from data import episode_files


def numbers(store):
  """The number of each episode, or None, in the order of the store."""
  paths = sorted(store.directory.glob('*.npz'), key=episode_files.order)
  return [episode_files.index_of(path) for path in paths]


def before(store, number):
  """How many episodes come before one: its place, if it is there."""
  return sum(other is None or other < number for other in numbers(store))


def env_steps(store, number):
  """Simulator frames of all before an episode, deleted ones included."""
  later = store.lengths[before(store, number):]
  return store.collected_env_steps - sum(
      length - 1 for length in later) * store.metadata['action_repeat']
