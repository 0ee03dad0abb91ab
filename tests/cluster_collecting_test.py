"""Runs whose episodes are collected by processes of Ray.

All share one Ray (`cluster` of conftest.py), but for the tests of how one ends.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import time
import types

import large_task
import numpy as np
import processes
import pytest
import warm

from worldmodels.agents.cluster import actor
from worldmodels.agents.cluster import actors
from worldmodels.agents.cluster import collecting
from worldmodels.agents.cluster import collector
from worldmodels.agents.cluster import engine
from worldmodels.agents.cluster import leases
from worldmodels.agents.cluster import pool
from worldmodels.agents.cluster import random_actions
from worldmodels.agents.cluster import start
from worldmodels.agents.runs import build
from worldmodels.agents.runs import rollouts
from worldmodels.agents.runs import seeds
from worldmodels.configs import planet
from worldmodels.spec import Spec

ROOT = pathlib.Path(__file__).parent.parent
# Less to be traced, and little that is measured.
QUICK = (
  '--config=planet:debug',
  '--config.overshooting.steps=0',
  '--config.heads.image.share=1',
  '--config.evaluate.horizon=60',
  '--config.evaluate.last_episodes=2',
)
# As tests/slow_task.py has them.
TASK = '--config.task=slow_task:load'

pytestmark = pytest.mark.timeout(600)


def seed(number):
  return seeds.seed_of(0, 0, number)


@pytest.fixture(scope='module')
def hill():
  """The config and spec of our task, and its random episodes from here."""
  config = planet.debug()
  config.task = 'hill'
  environment = build.environment(config)
  spec = build.spec_of(environment)
  here = rollouts.Collector(
    lambda *given: random_actions.acts(spec, *given), [environment], print
  )
  episodes = dict(here.collect(range(6), seed, explore=True))
  environment.close()
  return build.chosen(config, spec), spec, episodes


@pytest.fixture(scope='module')
def joined(cluster):
  with engine.Engine(cluster) as found:
    yield found


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """The current folder, with the task that does as it is told."""
  shutil.copy(ROOT / 'tests/slow_task.py', tmp_path)
  monkeypatch.chdir(tmp_path)
  return tmp_path


def make_pool(joined, hill, count, lines, limit=60.0, task='hill'):
  config, spec, _ = hill
  settings = actor.Settings(
    config.to_dict() | dict(task=task), spec.to_dict(), {}, os.getcwd()
  )
  return pool.Pool(joined, count, settings, limit, lines.append)


def collected(made, numbers=range(6)):
  given = collector.Collector(made, collecting.RANDOM, random=True)
  return dict(given.collect(numbers, seed, explore=True))


def assert_equal(found, expected):
  assert found.keys() == expected.keys()
  for number, episode in expected.items():
    assert found[number].keys() == episode.keys()
    for key, value in episode.items():
      mine = found[number][key]
      assert mine.dtype == value.dtype
      assert mine.tobytes() == value.tobytes(), (number, key)


# ---------------------------------------------------------- what is left ----
# First: another minute goes by with the other tests.


def processes_with(variable):
  """Process ids of all that have a variable in their environment."""
  found = []
  for path in pathlib.Path('/proc').glob('[0-9]*/environ'):
    try:
      if variable.encode() in path.read_bytes():
        found.append(int(path.parent.name))
    except OSError:
      continue
  return found


@pytest.fixture(scope='module')
def ended():
  """When the programs of which marks ended; at last nothing is left of them."""
  found = {}
  yield found
  for mark, begin in found.items():
    while left := processes_with(mark):
      # Two agents of Ray try for a minute to say that their raylet is gone.
      agents = all('Agent' in processes.command(pid) for pid in left)
      assert time.monotonic() - begin < (90 if agents else 60), left
      time.sleep(0.2)


@pytest.mark.parametrize(
  'number,status', [(signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_whoever_stops_it_nothing_is_left(tmp_path, ended, number, status):
  shutil.copy(ROOT / 'tests/slow_task.py', tmp_path)
  (tmp_path / 'step_10').write_text('sleeps')
  mark = f'CLUSTER_TEST={tmp_path}'
  command = dict(
    args=['worldmodels', 'train', *QUICK, TASK, '--collectors=2']
    + [f'--logdir={tmp_path / "run"}'],
    cwd=tmp_path,
    env={**os.environ, 'CLUSTER_TEST': str(tmp_path)},
  )
  with warm.start(**command) as process:
    while (tmp_path / 'step_10').exists():  # It is in an episode then.
      assert process.poll() is None, process.communicate()
      time.sleep(0.1)
    assert len(processes_with(mark)) > 5
    ended[mark] = begin = time.monotonic()
    process.send_signal(number)
    printed = ''.join(process.communicate(timeout=60))
    seconds = time.monotonic() - begin
  assert process.returncode == status, printed
  if number == signal.SIGINT:
    assert 'stopped; the same command continues' in printed
    assert seconds < 8


# ------------------------------------------------------------- collectors ----


@pytest.mark.parametrize('count', [1, 4])
def test_random_episodes_do_not_depend_on_who_collects(joined, hill, count):
  lines = []
  with_them = make_pool(joined, hill, count, lines)
  assert_equal(collected(with_them), hill[2])
  assert not lines
  with_them.close()


@pytest.mark.parametrize(
  'word,limit,said',
  [
    ('raises', 60, 'collector 1: task .* raised ValueError: as it was told'),
    ('kills', 60, 'collector 1: worker .* died: SIGKILL.* the episode starts'),
    ('ends', 60, 'collector 1 died .*; random episode 0 is leased again'),
    ('stops', 4, 'collector 1 died .no answer for 4 s, --lease_timeout'),
  ],
)
def test_what_goes_wrong_is_a_line(joined, hill, folder, word, limit, said):
  (folder / 'step_10').write_text(word)
  lines = []
  made = make_pool(joined, hill, 1, lines, limit, 'slow_task:load')
  assert_equal(collected(made, range(2)), dict([*hill[2].items()][:2]))
  assert len(lines) == 1, lines
  assert re.search(said, lines[0]), lines
  made.close()


def test_who_is_slow_delays_nobody(joined, hill, folder):
  lines = []
  made = make_pool(joined, hill, 2, lines, 60, 'slow_task:load')
  collected(made, range(5))  # So that it is known how long one takes.
  (folder / 'step_10').write_text('sleeps')
  assert_equal(collected(made), hill[2])
  assert [line for line in lines if 'takes long at collector' in line]
  assert not [line for line in lines if 'came twice' in line]  # It sleeps yet.
  while len(lines) < 2:
    made.poll(1.0)
  assert 'came twice' in lines[1]
  made.close()


def test_who_is_not_there_is_told_whatever_others_do(joined, hill, monkeypatch):
  monkeypatch.setattr(pool, '_SILENCE', 0.5)
  others = joined.ray.remote(num_cpus=7)(actor.Actor)  # Of 8 cores.
  settings = actor.Settings({}, hill[1].to_dict(), {}, '')
  other, lines, start = others.remote(settings), [], time.monotonic()
  joined.ray.get(other.place.remote())
  made = make_pool(joined, hill, 2, lines)
  episodes = collected(made, range(3))
  while sum('1 of 2 collectors are there' in line for line in lines) < 2:
    assert time.monotonic() - start < 60
    episodes |= collected(made, range(3))
  assert_equal(episodes, dict([*hill[2].items()][:3]))
  # One comes; of one that dies while it waits there is no old id to be killed.
  joined.ray.kill(other)
  while len(made._actors.places) < 2:
    made.poll(0.1)
  lines.clear()
  old = made._actors.places[1]
  os.kill(old.pid, signal.SIGKILL)
  new = old
  while new == old:
    with contextlib.suppress(joined.ray.exceptions.RayError):
      new = joined.ray.get(made._actors[1].place.remote())
  collected(made, range(2))  # An episode for each.
  assert made._actors.places[1] == new
  assert 'collector 1 died while it waited: it was started anew' in lines
  made.close()


def test_a_head_that_is_lost_is_one_line(joined, hill, monkeypatch):
  made = make_pool(joined, hill, 1, [])
  monkeypatch.setattr(pool, '_LOOK_SECONDS', 0.0)
  collected(made, range(3))  # It answers.
  answers = iter([True, False, False, True, False, False, False])
  monkeypatch.setattr(joined, 'answers', lambda: next(answers))
  with pytest.raises(engine.ClusterError, match='does not answer any more'):
    while True:
      made.poll()
  assert not [*answers]
  made.close()


def test_what_the_object_store_does_not_hold_is_not_lost(joined, hill, folder):
  shutil.copy(ROOT / 'tests/large_task.py', folder)
  config = planet.debug()
  config.task, config.environment.size = 'large_task:load', large_task.SIZE
  spec = Spec(actions=1, image=(large_task.SIZE, large_task.SIZE, 3))
  lines = []
  made = make_pool(joined, (config, spec, None), 2, lines, task=config.task)
  while made.idle < 2:
    made.poll(0.1)
  for number in range(2):
    job = leases.Job(collecting.RANDOM, number, seed(number), True, True)
    made.lease(job, pool.Payload())
  joined.ray.wait([*made._running], num_returns=2, timeout=120)  # 144 of 128 MB
  found = []
  while len(found) < 2:
    found += [(x.job.number, x.episode['image']) for x in made.poll(0.1)]
  for number, images in found:
    task = large_task.load(seed(number))
    assert len(images) == large_task.STEPS + 1
    assert (images == task.reset().observation['image']).all()
  assert not lines
  made.close()


def test_an_episode_that_always_fails_ends_the_run(joined, hill, folder):
  made = make_pool(joined, hill, 2, [], 60, 'slow_task:missing')
  with pytest.raises(
    engine.ClusterError, match='random episode . failed 3 times'
  ):
    collected(made)
  made.close()


# ------------------------------------------------------------------- runs ----


def train(program, logdir, *flags, task=TASK, status=0, **options):
  """Trains; returns what was printed."""
  done = program('train', *QUICK, task, f'--logdir={logdir}', *flags, **options)
  printed = done.stdout + done.stderr
  assert done.returncode == status, printed
  assert 'Traceback' not in printed
  return printed


def numbers_in(directory):
  paths = sorted(directory.glob('*.npz'))
  return [int(path.name.split('-')[0]) for path in paths]


def metrics_of(run):
  lines = (run / 'metrics.jsonl').read_text().splitlines()
  return [json.loads(line) for line in lines]


def assert_whole(run, episodes, evaluated):
  """Each number is there once, has its line, and the end has one."""
  assert numbers_in(run / 'episodes') == list(range(episodes))
  lines = metrics_of(run)
  counts = [x['episodes'] for x in lines if 'evaluation_return' not in x]
  assert counts == [*range(3, episodes + 1), episodes]
  found = [x['episodes'] for x in lines if 'evaluation_return' in x]
  assert found == evaluated
  assert 'last_evaluation_mean' in lines[-1]
  updates = [line['updates'] for line in lines]
  assert updates == sorted(updates)
  for line in lines:
    if 'return' in line:
      number = line['episodes'] - 1
      (path,) = (run / 'episodes').glob(f'{number:06d}-*.npz')
      with np.load(path) as file:
        assert line['return'] == pytest.approx(file['reward'].sum(), rel=1e-5)


@pytest.fixture(scope='module')
def run(tmp_path_factory, cluster, program):
  """A run that was collected by two, in which a collector died once."""
  folder = tmp_path_factory.mktemp('run')
  shutil.copy(ROOT / 'tests/slow_task.py', folder)
  logdir = folder / 'run'
  flags = ('--collectors=2', f'--cluster={cluster}')
  printed = train(program, logdir, *flags, cwd=folder)
  return folder, logdir, printed


def test_a_run(run):
  _, logdir, printed = run
  assert_whole(logdir, 5, [2, 4])
  assert numbers_in(logdir / 'heldout') == list(range(4))
  assert re.search(r'^ +time .* s/update +age$', printed, re.MULTILINE)
  episodes = [x for x in metrics_of(logdir) if 'return' in x]
  assert all(line['age'] >= 0 for line in episodes)
  assert all(line['waiting_seconds'] >= 0 for line in episodes)
  # Those of the agent have their ages beside them.
  kept = (logdir / 'collected.jsonl').read_text().splitlines()
  kept = {line['number']: line for line in map(json.loads, kept)}
  assert sorted(kept) == [2, 3, 4]
  for line in episodes:
    mine = kept[line['episodes'] - 1]
    assert line['age'] == mine['arrived'] - mine['acted']
  # An evaluation says which parameters it is of: those of when it began.
  found = [x for x in metrics_of(logdir) if 'evaluation_return' in x]
  assert [line['updates'] for line in found] == [0, 10]


def test_what_was_collected_is_evaluated_and_filmed(run, tmp_path, program):
  folder, logdir, _ = run
  done = program('evaluate', f'--logdir={logdir}', '--episodes=1', cwd=folder)
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout)
  assert found['checkpoint'] == 15 and len(found['returns']) == 1
  out = tmp_path / 'dream.gif'
  flags = (f'--logdir={logdir}', f'--out={out}', '--episodes=1', '--scale=1')
  done = program('video', *flags, '--horizon=5', cwd=folder)
  assert done.returncode == 0, done.stderr
  assert 'heldout' in done.stdout and out.stat().st_size


def test_a_run_goes_on_without_collectors_and_with_others(
  run, tmp_path, cluster, program
):
  folder, logdir, _ = run
  copy = tmp_path / 'run'
  shutil.copytree(logdir, copy)
  before = {path.name for path in (copy / 'episodes').iterdir()}
  train(program, copy, '--config.train.episodes=6', cwd=folder)
  assert_whole(copy, 6, [2, 4])
  assert before <= {path.name for path in (copy / 'episodes').iterdir()}
  assert 'age' not in metrics_of(copy)[-2]
  # And with one whose environment dies, the collector with it.
  (folder / 'step_20').write_text('ends')
  flags = ('--collectors=1', f'--cluster={cluster}')
  printed = train(
    program, copy, '--config.train.episodes=8', *flags, cwd=folder
  )
  assert 'collector 1 died' in printed and 'is leased again' in printed
  assert_whole(copy, 8, [2, 4, 6])
  assert 'age' in metrics_of(copy)[-2]


def test_a_run_with_collectors_ends_where_its_minutes_are_spent(
  tmp_path, cluster, program
):
  flags = ('--collectors=1', f'--cluster={cluster}', '--config.task=hill')
  budget = ('--config.train.episodes=500', '--config.train.minutes=0.1')
  train(program, tmp_path / 'run', *flags, *budget)
  lines = metrics_of(tmp_path / 'run')
  assert 'last_evaluation_mean' in lines[-1]
  count = lines[-1]['episodes']  # Of a slow machine it is but the random ones.
  assert count < 500
  counts = [x['episodes'] for x in lines if 'return' in x]
  assert counts == [*range(3, count + 1)]
  # What was under way when it ended has no line, and is there to go on from.
  assert len(numbers_in(tmp_path / 'run' / 'episodes')) >= count
  train(program, tmp_path / 'run', *flags, *budget)
  assert metrics_of(tmp_path / 'run') == lines


# ---------------------------------------------------------- what is wrong ----


@pytest.mark.parametrize(
  'flags,said',
  [
    (['--collectors=0'], '--collectors'),
    (['--collectors=2', '--cluster=here'], 'it is HOST:PORT'),
    (['--cluster=127.0.0.1:1'], 'nothing is asked of it: --collectors'),
    (['--collectors=2', '--cluster=127.0.0.1:1'], 'nobody answers there'),
    (['--collectors=2', '--lease_timeout=0'], '--lease_timeout'),
    (['--lease_timeout=60'], '--lease_timeout goes with --collectors'),
  ],
)
def test_wrong_flags_are_one_line(tmp_path, program, flags, said):
  done = program(
    'train',
    *QUICK,
    TASK.replace('slow_task:load', 'hill'),
    *flags,
    f'--logdir={tmp_path / "run"}',
  )
  assert done.returncode in (1, 2)
  assert said in done.stderr and len(done.stderr.splitlines()) == 1
  assert not (tmp_path / 'run').exists()


def test_without_ray_it_is_one_line(tmp_path, program):
  (tmp_path / 'sitecustomize.py').write_text(
    'import importlib.util, sys\n'
    'real = importlib.util.find_spec\n'
    'importlib.util.find_spec = lambda name, *rest: (\n'
    "  None if name == 'ray' else real(name, *rest))\n"
  )
  done = program(
    'train',
    '--config.task=hill',
    '--collectors=2',
    f'--logdir={tmp_path / "run"}',
    fresh=True,
    PYTHONPATH=f'{tmp_path}:{ROOT}',
  )
  assert done.returncode == 1
  assert 'worldmodels-tf[cluster]' in done.stderr
  assert len(done.stderr.splitlines()) == 1
  assert not (tmp_path / 'run').exists()


def test_the_object_store_has_room_for_what_is_under_way(hill):
  _, spec, _ = hill
  few, many = (start.store_mb(spec, 1000, count) for count in (1, 8))
  assert few >= 80 and many > few
  # An episode of a thousand images of 64 x 64, two for each collector.
  assert many >= 16 * 1000 * 64 * 64 * 3 / 2**20
  assert start.store_mb(spec, None, 8) == many


def test_why_ray_says_that_a_call_has_failed():
  died = RuntimeError(
    'The actor died.\n  class_name: Actor\nWorker exit type: SYSTEM_ERROR '
    'Worker exit detail: Worker unexpectedly exits with a connection error. '
    'There are some potential root causes.'
  )
  assert actors.cause(died) == (
    'Worker unexpectedly exits with a connection error'
  )
  raised = RuntimeError('a\nb')
  raised.cause = ValueError('no\n  such')
  assert actors.cause(raised) == 'ValueError: no such'
  assert actors.cause(RuntimeError('first\nlast\n')) == 'last'
  assert actors.cause(RuntimeError()) == 'RuntimeError'


def test_ray_that_has_ended_here_is_one_line(joined, hill, monkeypatch):
  actors.check_here(RuntimeError('The actor died.'))
  with pytest.raises(engine.ClusterError, match='raylet.* has ended'):
    actors.check_here(RuntimeError("Owner's node has crashed"))
  made = make_pool(joined, hill, 1, [])
  there = types.SimpleNamespace(exceptions=joined.ray.exceptions)

  def broken(*_, **__):  # As Ray does where the object store was.
    raise BrokenPipeError(32, 'Broken pipe')

  there.put = there.wait = broken
  monkeypatch.setattr(made, '_ray', there)
  for call in made.poll, lambda: made.put([]):
    with pytest.raises(engine.ClusterError, match='raylet.* has ended'):
      call()
  made.close()
