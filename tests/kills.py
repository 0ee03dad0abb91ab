"""Kills trainings at random points: `make kills`.

  python tests/kills.py [KILLS [SEED]]

A training is killed a few times, as by kill -9, some of them by the clock and
some at or just after one of its changes of the run directory (kill_points.py),
and then goes on to its end. It has to come out, bit for bit, as one to which
nothing happened, with every episode that was ever there.
"""

import pathlib
import random
import sys
import tempfile

import resume_test

KILLS, EACH = 50, 6  # in all, and of one training before it may end
# Changes of the directory by a start: some at the first one, fewer later.
CHANGES = 60
SECONDS = 12


def kill_point(chance):
  """Returns word, count and delay of a kill."""
  if chance.random() < 0.5:
    return '', chance.randint(1, CHANGES), 0
  if chance.random() < 0.5:
    return '', chance.randint(1, CHANGES), chance.uniform(0, 0.5)
  return '', 1, chance.uniform(0, SECONDS)


def kill_often(run, chance, kills):
  """Kills a training up to `kills` times; returns how often it was."""
  there, killed = set(), 0
  for _ in range(kills):
    done = resume_test.start(run, *resume_test.QUICK, kill=kill_point(chance))
    if done.returncode == 0:
      break  # It came to its end before that.
    assert done.returncode < 0, done.stdout + done.stderr
    assert 'damaged' not in done.stdout, done.stdout
    killed += 1
    episodes = {*run.glob('episodes/*.npz'), *run.glob('heldout/*.npz')}
    assert there <= episodes, 'a finished episode was lost'
    there = episodes
  resume_test.train(run, *resume_test.QUICK)
  return killed


def main(kills=KILLS, seed=0):
  """Kills until there were so many; prints a line for each training."""
  chance, count, number = random.Random(seed), 0, 0
  with tempfile.TemporaryDirectory() as folder:
    reference = pathlib.Path(folder) / 'reference'
    resume_test.train(reference, *resume_test.QUICK)
    while count < kills:
      number += 1
      run = pathlib.Path(folder) / f'run{number}'
      count += kill_often(run, chance, min(EACH, kills - count))
      resume_test.assert_same(run, reference)
      print(f'{count} of {kills} kills: the run is the same', flush=True)


if __name__ == '__main__':
  main(*map(int, sys.argv[1:]))
