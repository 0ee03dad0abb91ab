"""Tests of `worldmodels train --learners=2`: two processes, without a GPU.

One run of each kind serves all: two learners that lose one another, two that
go on from there and lose the first, the one that goes on alone, and one learner
from the start. Episodes are shorter than chunks, or longer, so that masks have
zeros; at last all rewards in the share of the first learner are NaN.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import time

import conftest
import numpy as np
import pytest
import warm

from worldmodels.agents.runs import checkpoint_files

POISON = 8
FLAGS = (
  '--config=planet:debug',
  '--config.task=tests.brief_hill:load',
  '--config.train.batch=4',
  '--config.train.seed_episodes=3',
  '--config.train.episodes=6',
  '--config.evaluate.every=50',
  '--config.evaluate.last_episodes=1',
  # So that only the order of sums differs.
  '--config.encoder.precision=float32',
  '--config.heads.image.precision=float32',
  f'--poison_from={POISON}',
)
SECONDS = 240


def children(pid):
  """Returns the process ids of the children of a process."""
  tasks = pathlib.Path(f'/proc/{pid}/task').glob('*/children')
  return [int(x) for task in tasks for x in task.read_text().split()]


def learners(pid):
  """Returns the process ids of the learners that a program has started."""
  return [x for x in children(pid) if b'bound' in command(x)]


def command(pid):
  try:
    return pathlib.Path(f'/proc/{pid}/cmdline').read_bytes()
  except FileNotFoundError:
    return b''


def until(condition, process):
  """Waits for a condition, while a program runs."""
  end = time.monotonic() + SECONDS
  while not condition():
    assert process.poll() is None, process.communicate()
    assert time.monotonic() < end
    time.sleep(0.05)


def checkpoints(run):
  return sorted(x.name for x in (run / 'checkpoints').glob('[0-9]' * 8))


def weights(run, updates):
  folder = run / 'checkpoints' / f'{updates:08d}'
  return checkpoint_files.read(folder, updates)[0]


def figures(run, name):
  """Returns a figure of the rows of a run that have it: {updates: value}."""
  rows = map(json.loads, (run / 'metrics.jsonl').read_text().splitlines())
  return {row['updates']: row[name] for row in rows if name in row}


def start(logdir, *more):
  """Starts two learners, the second of which the first one starts."""
  args = ['worldmodels', 'train', *FLAGS, '--learners=2']
  return warm.start([*args, f'--logdir={logdir}', *more], cwd=conftest.ROOT)


@pytest.fixture(scope='module')
def beside(tmp_path_factory):
  """A run with one learner, while the two wait for one another."""
  run = tmp_path_factory.mktemp('alone') / 'run'
  args = ['worldmodels', 'train', *FLAGS, f'--logdir={run}']
  with warm.start(args, cwd=conftest.ROOT) as process:
    yield run, process


@pytest.fixture(scope='module')
def parted(tmp_path_factory, beside):
  """Two learners, of which the second is killed after an episode.

  Returns:
    (run, its exit status, what it printed, processes that it had).
  """
  run = tmp_path_factory.mktemp('several') / 'run'
  process = start(run)
  until(lambda: len(checkpoints(run)) > 1, process)
  had = [process.pid, *children(process.pid)]
  (other,) = learners(process.pid)
  os.kill(other, signal.SIGKILL)
  out, error = process.communicate(timeout=SECONDS)
  shutil.copytree(run, run.with_name('parted'))
  return run.with_name('parted'), process.returncode, (out, error), had


@pytest.fixture(scope='module')
def resumed(parted):
  """Two learners again, of which the first is killed after an episode.

  Returns:
    (run, updates of its checkpoints before, what was printed, processes).
  """
  run = parted[0].with_name('resumed')
  shutil.copytree(parted[0], run)
  before = checkpoints(run)
  process = start(run)
  until(lambda: checkpoints(run)[-1] > before[-1], process)
  had = [process.pid, *children(process.pid)]
  process.send_signal(signal.SIGKILL)
  out, _ = process.communicate(timeout=SECONDS)
  assert process.returncode == -signal.SIGKILL
  return run, before, out, had


@pytest.fixture(scope='module')
def alone(beside):
  """The same run with one learner."""
  run, process = beside
  printed = process.communicate(timeout=SECONDS)
  assert process.returncode == 0, printed
  return run


def test_two_learners_find_the_losses_and_weights_of_one(parted, alone):
  run, *_ = parted
  updates = int(checkpoints(run)[1])
  for name in ('loss', 'image_loss', 'kl_loss', 'gradient_norm'):
    one, two = (figures(x, name)[updates] for x in (alone, run))
    assert two == pytest.approx(one, rel=1e-4), name
  one, two = weights(alone, updates), weights(run, updates)
  assert one.keys() == two.keys()
  for name, value in one.items():
    np.testing.assert_allclose(two[name], value, atol=2e-4, err_msg=name)


def test_the_same_command_goes_on_with_two_learners(parted, resumed, alone):
  """As if nothing had been, and all skip what is not finite in one share."""
  run, before, printed, _ = resumed
  assert re.search(rf'continues +after {int(before[-1])} updates', printed)
  found, expected = (weights(x, 10) for x in (run, alone))
  for name, value in expected.items():
    np.testing.assert_allclose(found[name], value, atol=4e-4, err_msg=name)
  (skipped,) = (x for x in expected if x.endswith('skipped'))
  assert expected[skipped] == found[skipped] == 10 - POISON
  # What is compared is of masks that are not all ones, from the first on.
  paths = sorted(run.rglob('episodes/*.npz'))[:3]
  lengths = [int(x.stem.split('-')[-1]) for x in paths]
  assert min(lengths) < 12 < max(lengths), lengths


def test_a_learner_that_dies_ends_the_run_with_one_line(parted):
  _, status, (_, error), _ = parted
  assert status == 1
  (line,) = error.splitlines()[-1:]
  assert 'error: learner 1 has ended (SIGKILL)' in line
  assert 'the same command continues' in line
  assert 'Traceback' not in error


def test_no_process_is_left(parted, resumed):
  """Whichever of them was killed."""
  had = [*parted[-1], *resumed[-1]]
  end = time.monotonic() + 20
  while any(b'worldmodels' in command(pid) for pid in had):
    assert time.monotonic() < end
    time.sleep(0.1)


def test_one_learner_goes_on_and_loses_nothing(resumed, tmp_path):
  run = tmp_path / 'run'
  shutil.copytree(resumed[0], run)
  before = checkpoints(run)
  done = conftest.run_program('train', *FLAGS, f'--logdir={run}')
  assert done.returncode == 0, done.stdout + done.stderr
  assert re.search(rf'continues +after {int(before[-1])} updates', done.stdout)
  assert len(list((run / 'episodes').glob('*.npz'))) == 6


@pytest.mark.parametrize(
  ('flags', 'line'),
  [
    (['--learners=0'], '--learners'),
    (['--learners=3'], 'train.batch is 4, which 3 learners cannot share'),
  ],
)
def test_learners_that_cannot_be_are_one_line(tmp_path, flags, line):
  done = conftest.run_program(
    *('train', *FLAGS, *flags, f'--logdir={tmp_path / "run"}'),
    CUDA_VISIBLE_DEVICES='',
  )
  assert done.returncode
  assert line in done.stderr and len(done.stderr.splitlines()) == 1
  assert not (tmp_path / 'run').exists()


def test_a_port_that_is_taken_is_one_line(tmp_path):
  with socket.socket() as taken:
    taken.bind(('127.0.0.1', 0))
    taken.listen()
    mine = f'127.0.0.1:{taken.getsockname()[1]}'
    told = dict(
      cluster=dict(worker=['127.0.0.1:1', mine]),
      task=dict(type='worker', index=1),
    )
    done = conftest.run_program(
      *('train', *FLAGS, '--learners=2', f'--logdir={tmp_path / "run"}'),
      TF_CONFIG=json.dumps(told),
      CUDA_VISIBLE_DEVICES='',
    )
  assert done.returncode == 1
  line = done.stderr.splitlines()[-1]
  assert line.startswith(f'error: cannot listen at {mine}: another program')
  assert 'Traceback' not in done.stderr
