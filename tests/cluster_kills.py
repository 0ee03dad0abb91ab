"""Kills what takes part in a training on a cluster: `make cluster-kills`.

  python tests/cluster_kills.py [KILLS [SEED [VICTIM]]]

A training of two collectors on a Ray of two nodes (two_nodes.py) loses, at
random moments, a collector, the process of an environment, the raylet of the
second node, or the learner, all as by kill -9. It has to come to its end by
itself, or after the learner was killed by the same command: with every episode
once, the random ones as they come out without a cluster, every update done,
and no process left. cluster_kills_test.py does that with what collects alone.
"""

import functools
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import processes
import resume_test
import two_nodes
import warm

ROOT = pathlib.Path(__file__).parent.parent
VICTIMS = ('collector', 'environment', 'raylet', 'learner')
KILLS, EACH = 50, 5  # in all, and of one training
COLLECTORS = 2
LIMIT = 300  # seconds that a training may take after the last kill


class Fault(Exception):
  """A training did not come out as it has to."""


class Program:
  """A command, given again when it was killed.

  Attributes:
    path: of what it makes.
    seconds: between two kills, at most.
    printed: what all its starts have printed.
  """

  seconds = 12.0

  def __init__(self, path, address):
    self.path = path
    self.printed = ''
    self._address = address
    self.start()

  @property
  def pid(self):
    return self.program.pid

  def start(self):
    """Starts it, or starts it again."""
    self.program = self.started()

  def over(self):
    return self.program.poll() is not None

  def stop(self):
    """Ends it, if it runs."""
    if not self.over():
      self.program.send_signal(signal.SIGKILL)
    self.program.__exit__(None, None, None)

  def end(self, seconds):
    """Waits for its end; returns its status."""
    late = None
    try:
      out, error = self.program.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
      late = processes.below()
      self.program.send_signal(signal.SIGKILL)
      out, error = self.program.communicate(timeout=60)
    self.program.__exit__(None, None, None)
    self.printed += out + (error or '')
    if late:
      raise Fault(f'{self.path} does not end: {self.printed}; there are {late}')
    return self.program.returncode


class Training(Program):
  """A training with the preset debug."""

  episodes, random_ones = 14, 4
  flags = (
    *resume_test.QUICK,
    f'--config.train.episodes={episodes}',
    f'--config.train.seed_episodes={random_ones}',
  )

  @classmethod
  def prepare(cls, folder):
    """Makes what the others are compared with: a run without a cluster."""
    cls.reference = folder / 'reference'
    resume_test.train(cls.reference, *cls.flags)

  def started(self):
    flags = (f'--collectors={COLLECTORS}', f'--cluster={self._address}')
    command = resume_test.command(
      self.path, *self.flags, *flags, **two_nodes.JOIN
    )
    return warm.start(**command)

  def check(self):
    """Raises Fault unless the run is as planned."""
    for name in ('episodes', 'heldout'):
      mine = resume_test.numbered(self.path / name)
      theirs = resume_test.numbered(self.reference / name)
      if len(mine) != len(theirs):
        raise Fault(f'{len(mine)} {name}, {len(theirs)} were planned')
      for number in range(self.random_ones):
        found, expected = map(
          resume_test.arrays, (mine[number], theirs[number])
        )
        unlike = [
          key
          for key, value in expected.items()
          if key not in found or not np.array_equal(found[key], value)
        ]
        if unlike:
          raise Fault(f'{name} {number} is not as without a cluster: {unlike}')
    lines = resume_test.lines(self.path)
    counts = [line['episodes'] for line in lines if 'return' in line]
    if counts != list(range(self.random_ones + 1, self.episodes + 1)):
      raise Fault(f'there are lines of episodes {counts}')
    ends = [line for line in lines if 'last_evaluation_mean' in line]
    if len(ends) != 1:
      raise Fault(f'{len(ends)} last evaluations')
    if updates(self.path) != updates(self.reference):
      raise Fault(f'{updates(self.path)} updates')
    left = list(self.path.rglob('*.tmp'))
    if left:
      raise Fault(f'{left} are left')


def updates(path):
  """Returns the updates that the newest checkpoint of a run counts."""
  newest = sorted((path / 'checkpoints').iterdir())[-1]
  return json.loads((newest / 'counters.json').read_text())['updates']


def is_collector(command):
  """Whether a command, as Ray writes it, is that of an actor of ours."""
  return command.startswith('ray::') and not command.startswith(
    ('ray::IDLE', 'ray::Dashboard', 'ray::RuntimeEnv')
  )


def is_environment(command):
  return 'worker_main' in command


def victims(kind, program, nodes):
  """Returns the pids of processes that one kind of kill may hit."""
  if kind == 'learner':
    return [program.pid]
  among = is_collector if kind == 'collector' else is_environment
  return [p for p, text in processes.below(nodes.pid).items() if among(text)]


def strike(kind, program, nodes, chance):
  """Kills one of a kind; returns whether there was one."""
  if kind == 'raylet':
    nodes.lose_one()
    return True
  found = victims(kind, program, nodes)
  if not found or program.over():
    return False
  try:
    os.kill(chance.choice(sorted(found)), 9)
  except ProcessLookupError:
    return False
  if kind == 'learner':
    if program.end(60) != -9:
      return False  # It had come to its end.
    program.start()
  return True


def deal(kinds, chance):
  """Yields kinds at random for ever, each as often as the others."""
  while True:
    yield from chance.sample(kinds, len(kinds))


def one(program, nodes, chance, kills, kinds, say):
  """Kills up to `kills` times; returns the kinds of the kills.

  Args:
    program: to be killed.
    nodes: that it runs on.
    chance: random numbers.
    kills: how many.
    kinds: what is killed, an iterator; one that was not there comes next.
    say: called with a line for each.
  """
  done, begin, kind = [], time.monotonic(), None
  while len(done) < kills and not program.over():
    moment = time.monotonic() + chance.uniform(0, program.seconds)
    while time.monotonic() < moment and not program.over():
      time.sleep(0.05)
    kind = kind or next(kinds)
    if not program.over() and strike(kind, program, nodes, chance):
      done.append(kind)
      say(f'  {time.monotonic() - begin:5.1f} s: {kind}')
      kind = None
  status = program.end(LIMIT)
  if status != 0 or 'Traceback' in program.printed:
    raise Fault(f'{program.path} ended with {status}: {program.printed}')
  return done


def campaign(
  kind_of, folder, kills, seed=0, kinds=VICTIMS, each=EACH, say=print
):
  """Kills so many times; raises Fault at the first one that comes out wrong.

  Args:
    kind_of: Training, or another Program.
    folder: for what it makes.
    kills: how many.
    seed: of their moments.
    kinds: what is killed.
    each: kills of one of them at most.
    say: called with a line for each kill, and for each of them.
  """
  chance, count, number = random.Random(seed), 0, 0
  kinds = deal(kinds, chance)
  kind_of.prepare(folder)
  with two_nodes.Nodes(COLLECTORS) as nodes:
    while count < kills:
      number += 1
      program = kind_of(folder / f'run{number}', nodes.address)
      with program.program:
        done = one(program, nodes, chance, min(each, kills - count), kinds, say)
      (folder / f'run{number}.log').write_text(program.printed)
      program.check()
      nobody_is_left(nodes)
      count += len(done)
      say(f'{count} of {kills} kills: as planned ({", ".join(done)})')


def nobody_is_left(nodes):
  """Raises Fault if a collector or an environment outlives its program."""
  left = processes.settled(
    lambda _, text: not is_collector(text) and not is_environment(text)
  )
  if left:
    raise Fault(f'still there: {left}')


def main(kills=KILLS, seed=0, kind=''):
  """Kills until there were so many; prints a line for each training."""
  processes.keep_orphans()
  folder = pathlib.Path(tempfile.mkdtemp(prefix='kills-'))
  print(f'runs in {folder}')
  kinds = (kind,) if kind else VICTIMS
  say = functools.partial(print, flush=True)
  campaign(Training, folder, int(kills), int(seed), kinds, say=say)
  left = processes.settled(lambda pid, command: 'warm.py' in command)
  assert not left, f'still there: {left}'


if __name__ == '__main__':
  main(*sys.argv[1:])
