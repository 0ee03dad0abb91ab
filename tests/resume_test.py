"""A run that was stopped comes out as if it had not been, bit for bit.

Whatever happened to it, the same command is given again; checkpoints, episodes
and metrics are then those of a run that nothing happened to. kills.py does that
with more runs.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import time

import numpy as np
import pytest
import warm

ROOT = pathlib.Path(__file__).parent.parent

# Half of the time of the debug preset: less to be traced, and episodes that are
# too short for open-loop errors: those are compared in dreamer_run_test.py.
QUICK = (
  '--config.overshooting.steps=0',
  '--config.heads.image.share=1',
  '--config.evaluate.horizon=60',
  '--config.evaluate.last_episodes=1',
)

pytestmark = pytest.mark.timeout(1800)


def command(logdir, *flags, task='hill', agent='planet', kill=(), **variables):
  """Returns the arguments of a process that trains, for warm.start.

  Args:
    logdir: of the run.
    *flags: of the program.
    task: to train on.
    agent: to be trained.
    kill: word, count and delay of kill_points.py.
    **variables: of the environment.
  """
  points = ['tests.kill_points', logdir, *kill] if kill else []
  arguments = [
    *points,
    'worldmodels',
    'train',
    f'--config={agent}:debug',
    f'--config.task={task}',
    f'--logdir={logdir}',
    *flags,
  ]
  # Of those that are killed a folder is left where temporary files are.
  variables['TMPDIR'] = str(logdir.parent)
  return dict(args=arguments, cwd=ROOT, env={**os.environ, **variables})


def start(*arguments, **options):
  """Starts training, with the arguments of `command`; waits for its end."""
  return warm.run(**command(*arguments, **options), timeout=900)


def interrupt(*arguments, mark, **options):
  """Starts training; Ctrl-C when the task hangs, see frail_task.py.

  Returns:
    what was printed.
  """
  mark.write_text('10 hangs')
  options['FRAIL_TASK_MARK'] = str(mark)
  with warm.start(**command(*arguments, **options)) as process:
    while mark.exists():
      assert process.poll() is None, process.communicate()
      time.sleep(0.1)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    printed = ''.join(process.communicate(timeout=100))
  assert process.returncode == 130, printed
  assert time.monotonic() - begin < 10
  return printed


def train(logdir, *flags, **options):
  """Trains to the end; returns what was printed."""
  done = start(logdir, *flags, **options)
  assert done.returncode == 0, done.stdout + done.stderr
  assert 'Traceback' not in done.stderr
  return done.stdout


def arrays(path):
  with np.load(path) as file:
    return {key: file[key] for key in file.files}


def numbered(directory):
  """{number: path} of the episodes, each of which is there once."""
  paths = sorted(directory.glob('*.npz'))
  numbers = [int(path.name.split('-')[0]) for path in paths]
  assert numbers == list(range(len(numbers))), 'lost or doubled'
  return dict(zip(numbers, paths, strict=True))


def lines(run):
  """Metrics without what depends on the clock."""
  text = (run / 'metrics.jsonl').read_text()
  return [
    {k: v for k, v in json.loads(line).items() if not k.endswith('seconds')}
    for line in text.splitlines()
  ]


def outcome(run):
  """All that training made, {name: value}, but for times and file names."""
  made = {'metrics': lines(run)}
  for path in sorted((run / 'checkpoints').iterdir()):
    counters = json.loads((path / 'counters.json').read_text())
    made[f'{path.name} updates'] = counters['updates']
    for key, value in arrays(path / 'variables.npz').items():
      made[f'{path.name} {key}'] = value
  for name in ('episodes', 'heldout'):
    for number, path in numbered(run / name).items():
      for key, value in arrays(path).items():
        made[f'{name} {number} {key}'] = value
  return made


def assert_same(run, reference):
  mine, expected = outcome(run), outcome(reference)
  differing = sorted(mine.keys() ^ expected.keys())
  assert not differing, differing
  unlike = [
    key
    for key, value in expected.items()
    if not np.array_equal(np.asarray(mine[key]), np.asarray(value))
  ]
  assert not unlike, unlike
  # Each episode has its line, and the end has one.
  counts, evaluated = [], []
  for line in mine['metrics']:
    found = evaluated if 'evaluation_return' in line else counts
    found.append(line['episodes'])
  assert counts == [*range(3, counts[-1] + 1), counts[-1]]
  assert evaluated == [2, 4]
  updates = [line['updates'] for line in mine['metrics']]
  assert updates == sorted(updates)
  assert not list(run.rglob('*.tmp'))


@pytest.fixture(scope='module')
def quick_run(tmp_path_factory):
  """A finished run of QUICK to which nothing happened."""
  logdir = tmp_path_factory.mktemp('quick') / 'run'
  train(logdir, *QUICK)
  return logdir


def test_halves_make_a_whole(tmp_path, quick_run):
  """Also where a worker is killed, and a disk takes no events.

  The four random episodes have 200 steps and the agent's first one of its
  evaluation 50, so 271 is a step of an episode that it learns from.
  """
  half, mark = tmp_path / 'half', tmp_path / 'mark'
  mark.write_text('271')
  options = {'task': 'tests.frail_task:load', 'FRAIL_TASK_MARK': str(mark)}
  printed = train(half, *QUICK, '--config.train.episodes=4', **options)
  assert not mark.exists()
  told = [line for line in printed.splitlines() if 'starts over' in line]
  assert len(told) == 1 and 'SIGKILL' in told[0]
  ends = [line for line in lines(half) if 'last_evaluation_mean' in line]
  assert len(ends) == 1 and ends[0]['episodes'] == 4
  shutil.rmtree(half / 'events')
  (half / 'events').write_text('in the way')
  printed = train(half, *QUICK, **options)
  assert 'continues  after 10 updates, 4 episodes' in printed
  assert printed.count('no TensorBoard events') == 1
  assert_same(half, quick_run)

  # There is nothing left to be done, and nothing is done.
  before = {
    path: path.read_bytes()
    for path in half.rglob('*.*')
    if path.name != 'versions.json'
  }
  assert 'done ' in train(half, *QUICK, **options)
  assert {path: path.read_bytes() for path in before} == before

  # Back to where it has been already there is no way.
  done = start(half, *QUICK, '--config.train.episodes=4', **options)
  assert done.returncode == 1 and 'Traceback' not in done.stderr
  assert done.stderr.endswith('has 5 episodes, train.episodes is 4\n')
  assert {path: path.read_bytes() for path in before} == before


# Words, counts and delays of kill_points.py: among the random episodes, in the
# first checkpoint, at or between random changes while the agent's first
# episodes are collected, and in the checkpoint after its first updates.
RANDOM = random.Random(1)
KILLS = [
  ('', RANDOM.randint(15, 22), 0),
  ('', RANDOM.randint(5, 14), 0),
  ('checkpoints/0000', RANDOM.randint(2, 4), 0.001),
  ('', RANDOM.randint(9, 14), RANDOM.uniform(0, 0.3)),
  ('checkpoints/00000005', 4, 0),
]


def test_kill_9_at_any_moment(tmp_path, quick_run):
  """And Ctrl-C, while the step of an episode that is collected hangs."""
  there, frail = set(), {'task': 'tests.frail_task:load'}
  run, mark = tmp_path / 'run', tmp_path / 'mark'
  for kill in KILLS:
    done = start(run, *QUICK, kill=kill, **frail)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    assert 'damaged' not in done.stdout
    episodes = {*run.glob('episodes/*.npz'), *run.glob('held*/*.npz')}
    assert there <= episodes, 'a finished episode was lost'
    there = episodes
  printed = interrupt(run, *QUICK, mark=mark, **frail)
  assert printed.endswith('error: stopped; the same command continues\n')
  assert 'stopping: waits for the update and the step of the task' in printed
  assert 'starts over' not in printed and 'Traceback' not in printed
  assert 'damaged' not in train(run, *QUICK, **frail)
  assert all(path.exists() for path in there)
  assert_same(run, quick_run)
  # The folders of temporary files of those that were killed are gone.
  assert {path.name for path in tmp_path.iterdir()} == {'run'}


def test_what_is_damaged_is_made_again(tmp_path, quick_run):
  """The newest checkpoint, the newest episode, and random ones."""
  shutil.copytree(quick_run, tmp_path, dirs_exist_ok=True)
  newest = sorted((tmp_path / 'checkpoints').iterdir())[-1]
  episodes = numbered(tmp_path / 'episodes')
  damaged = [
    episodes[0],
    episodes[4],
    numbered(tmp_path / 'heldout')[1],
    newest / 'variables.npz',
  ]
  for path in damaged:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
  printed = train(tmp_path, *QUICK)
  assert printed.count('damaged episode set aside') == 3
  assert printed.count(f'checkpoint {newest} is damaged') == 1
  assert 'continues  after 10 updates' in printed
  assert len(list(tmp_path.glob('*/damaged/*.npz'))) == 3
  assert_same(tmp_path, quick_run)
