"""The seeds of a run: pure functions of its own seed and of numbers."""

import numpy as np

# Streams of random numbers, so that no two purposes share one: episodes to
# train on, random ones that are held out, evaluations, updates, batches.
STREAMS = COLLECT, HELDOUT, EVALUATE, TRAIN, SAMPLE = range(5)
# Of episodes that programs play: of none that `train` collects or evaluates on.
_PLAYED = 1000


def seed_of(*parts: int) -> int:
  """Returns a seed below 2**31 that is a pure function of whole numbers."""
  sequence = np.random.SeedSequence([int(part) for part in parts])
  return int(sequence.generate_state(1)[0] >> 1)


def of_played(episodes: int, seed: int) -> list[int]:
  """Returns the seeds of episodes that a program plays with a finished run.

  The first ones do not depend on the count.

  Args:
    episodes: how many.
    seed: a whole number from 0.
  """
  return [seed_of(seed, _PLAYED, index) for index in range(episodes)]
