"""Sweeps on a cluster: who gets what, what is lost, and what is left behind.

The programs are played by a script of a few lines, as in sweep_test.py.
"""

import contextlib
import csv
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import types

import pytest
from conftest import run_program

from worldmodels import errors
from worldmodels.agents.cluster import core_shares
from worldmodels.agents.cluster import engine
from worldmodels.agents.cluster import holder
from worldmodels.agents.cluster import node
from worldmodels.agents.cluster import places
from worldmodels.agents.cluster import survey
from worldmodels.agents.cluster import sweeping
from worldmodels.agents.sweeps import jobs
from worldmodels.agents.sweeps import local
from worldmodels.agents.sweeps import runner

ROOT = pathlib.Path(__file__).parent.parent
# A run of one episode. What its task is called says what it does.
SCRIPT = """
import ctypes, json, os, pathlib, sys, time
ctypes.CDLL(None).prctl(1, 15)  # As `bound.bind` does.
program, *flags = sys.argv[1:]
flags = dict(x.removeprefix('--').split('=', 1) for x in flags)
run = pathlib.Path(flags['logdir'])
run.mkdir(exist_ok=True)
if program == 'evaluate':
  print(json.dumps(dict(checkpoint=9, mean=1.0, std=0.0, returns=[1.0] * 2)))
  sys.exit()
print('began', os.getpid(), sorted(os.sched_getaffinity(0)), flush=True)
print('variables', [x for x in os.environ if 'RAY' in x], flush=True)
if flags['config.task'] == 'broken':
  sys.exit('error: the task broke')
while flags['config.task'] == 'slow' and not (run / 'go on').exists():
  time.sleep(0.05)
train = {'episodes': 1, 'env_steps': 0, 'updates_total': 0}
(run / 'config.json').write_text(json.dumps(dict(train=train)))
line = dict(episodes=1, updates=9, env_steps=50, last_evaluation_mean=1.0)
(run / 'metrics.jsonl').write_text(json.dumps(line) + '\\n')
"""
BUDGET = {'train.episodes': 1, 'train.env_steps': 0, 'train.updates_total': 0}
BUDGET['train.minutes'] = 0.0


@pytest.fixture(autouse=True)
def looked_at_often(monkeypatch):
  """Nobody waits for what has ended."""
  monkeypatch.setattr(runner, '_POLL_SECONDS', 0.05)


def fake(program, flags):
  return [sys.executable, '-c', SCRIPT, program, *flags]


def live(root, tasks=('hill',), seeds=(0,)):
  setting = jobs.Setting('plain', 'planet:debug', {}, BUDGET)
  return jobs.live(root, [setting], tasks, seeds, 2, False)


@contextlib.contextmanager
def entered(address, root, size=None, token='seen', **options):
  """Enters a cluster; gives a place for commands on it."""
  (root / 'token').write_text('seen')
  with engine.Engine(address) as joined:
    joined.ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    size = size or places.Size(2, 1, 0.0)
    yield sweeping.Cluster(
      joined, size, fake, node.Token(str(root / 'token'), token, **options)
    )


def begun(job, count=1):
  """The processes of a job so far, once there are so many."""
  deadline = time.monotonic() + 60
  while time.monotonic() < deadline:
    text = job.log.read_text() if job.log.exists() else ''
    whole = text[: text.rfind('\n') + 1].splitlines()  # The last may not be.
    lines = [x for x in whole if x.startswith('began')]
    if len(lines) >= count:
      return [int(line.split()[1]) for line in lines]
    time.sleep(0.05)
  raise AssertionError(f'not begun {count} times:\n{text}')


def runs(process):
  with contextlib.suppress(FileNotFoundError, ProcessLookupError):
    return ') Z ' not in pathlib.Path(f'/proc/{process}/stat').read_text()
  return False


def parent(process):
  text = pathlib.Path(f'/proc/{process}/stat').read_text()
  return int(text.rpartition(')')[2].split()[1])


def ends(process, seconds=15):
  deadline = time.monotonic() + seconds
  while runs(process) and time.monotonic() < deadline:
    time.sleep(0.05)
  return not runs(process)


class Watch:
  """Does something once, while a sweep runs."""

  def __init__(self, place, act):
    self.place, self.act, self.told = place, act, []

  def __call__(self):
    self.told += self.place.news()
    if self.act and self.act():
      self.act = None


# ------------------------------------------------------------ who gets what ---


def a_node(cores, gpus=0, name='a'):
  return places.Node(name, name, cores, gpus)


@pytest.mark.parametrize(
  'nodes,runs,jobs,cores,gpus,size',
  [
    # Two jobs on four cores have two each; as many as there are runs.
    ([a_node(4)], 9, 2, None, None, (2, 2, 0.0)),
    ([a_node(4)], 2, None, None, None, (2, 2, 0.0)),
    ([a_node(4)], 9, None, None, None, (9, 1, 0.0)),
    # A job is on one node: three times five of eight are three nodes.
    ([a_node(8)] * 3, 3, None, None, None, (3, 8, 0.0)),
    ([a_node(8)] * 3, 4, None, None, None, (4, 4, 0.0)),
    ([a_node(2), a_node(16)], 3, None, None, None, (3, 5, 0.0)),
    ([a_node(4)], 9, 2, 1, None, (2, 1, 0.0)),
    # A GPU each, or a part where more jobs are wanted than there are.
    ([a_node(8, 2)], 4, None, None, None, (4, 4, 1.0)),
    ([a_node(8, 2)], 4, 4, None, None, (4, 2, 0.5)),
    ([a_node(8, 2), a_node(64)], 9, 1, None, None, (1, 8, 1.0)),
    ([a_node(8, 2)], 9, 4, None, 0.0, (4, 2, 0.0)),
    # A cluster that has yet to grow.
    ([], 9, 3, None, None, (3, 1, 0.0)),
    ([], 9, 3, 4, 1.0, (3, 4, 1.0)),
  ],
)
def test_cores_are_shared_out(nodes, runs, jobs, cores, gpus, size):
  assert places.size(nodes, runs, jobs, cores, gpus) == places.Size(*size)


@pytest.mark.parametrize(
  'cores,gpus,says',
  [
    (9, None, '--job_cores is 9; no node of the cluster has more than 8'),
    (None, 1.0, '--job_gpus is 1; no node of the cluster has more than 0'),
  ],
)
def test_what_no_node_has(cores, gpus, says):
  with pytest.raises(errors.OptionError) as caught:
    places.size([a_node(8), a_node(4)], 3, None, cores, gpus)
  assert str(caught.value) == says
  with pytest.raises(errors.OptionError, match='no node .* has both'):
    places.size([a_node(8), a_node(1, 1)], 3, None, 4, 1.0)


def test_cores_are_taken_by_one_at_a_time():
  number = 10**6 + os.getpid()  # Cores that nobody else has.
  there = [number, number + 1, number + 2]
  first = core_shares.Cores(2, 3, there)
  second = core_shares.Cores(2, 3, there)
  assert first.numbers == there[:2]
  assert second.numbers == [there[2], there[0]]  # One is shared: too few.
  first.leave()
  assert core_shares.Cores(1, None, there).numbers == there[:1]
  second.leave()
  # In a container that sees all cores of the machine, not always the first.
  found = set()
  for _ in range(50):
    some = core_shares.Cores(1, 1, there)
    found |= set(some.numbers)
    some.leave()
  assert found == set(there)


# ---------------------------------------------------------- what a node has ---


def test_what_a_node_lacks(tmp_path, monkeypatch):
  (tmp_path / 'token').write_text('seen')
  token = node.Token(str(tmp_path / 'token'), 'seen')
  assert node.complaint(token, node.identity()) == ''
  assert 'where 0.2 (abc) is wanted' in node.complaint(token, '0.2 (abc)')
  for other in (
    node.Token(str(tmp_path / 'token'), 'another', seconds=0.0),
    node.Token(str(tmp_path / 'gone'), 'seen', seconds=0.0),
  ):
    said = node.complaint(other, node.identity())
    assert f'does not see the files in {tmp_path}' in said
  monkeypatch.setattr(os, 'access', lambda path, mode: False)
  assert 'may not write into' in node.complaint(token, node.identity())


def test_a_line_of_code_is_another_identity(tmp_path):
  """Also where it is said to be the same version."""
  for name in ('agents', 'configs', 'data', 'worldmodels'):
    shutil.copytree(
      ROOT / name,
      tmp_path / name,
      ignore=shutil.ignore_patterns('__pycache__', 'examples'),
    )
  code = 'from worldmodels.agents.cluster import node; print(node.identity())'

  def identity():
    done = subprocess.run(
      [sys.executable, '-c', code],
      cwd=tmp_path,
      env={**os.environ, 'PYTHONPATH': str(tmp_path)},
      capture_output=True,
      text=True,
      check=True,
    )
    return done.stdout.strip()

  assert identity() == node.identity()
  with open(tmp_path / 'data' / 'rows.py', 'a') as file:
    file.write('#\n')
  assert identity() != node.identity()


def test_files_are_those_that_the_node_has_left(tmp_path, monkeypatch):
  """On a network file system they come later than the word of their end."""
  (tmp_path / 'metrics.jsonl').write_text('1\n')
  (tmp_path / 'episodes').mkdir()
  left = node.sizes(tmp_path)
  assert left == {'metrics.jsonl': 2} and node.sizes(tmp_path / 'gone') == {}
  command = sweeping.Command.__new__(sweeping.Command)
  command._status, command._stopping = None, False
  command._since = time.monotonic()
  command._order = types.SimpleNamespace(run=tmp_path)
  command._take(holder.Outcome(0, left={'metrics.jsonl': 4}))
  assert command._status is None
  (tmp_path / 'metrics.jsonl').write_text('1\n2\n')
  command._take(holder.Outcome(0, left={'metrics.jsonl': 4}))
  assert command._status == 0
  # Not for ever.
  command._status = None
  monkeypatch.setattr(sweeping, '_SEEN_SECONDS', -1.0)
  command._take(holder.Outcome(3, left={'metrics.jsonl': 9}))
  assert command._status == 3


def test_an_error_of_ray_is_one_line():
  error = ValueError(
    "failed\nModuleNotFoundError: No module named 'worldmodels'"
  )
  assert survey.missing(error).startswith('has no module worldmodels: install')
  assert survey.missing(ValueError('x')) == ''
  long = survey.cause(ValueError('one\n  two\n' + 'x' * 999))
  assert long.startswith('one two x') and len(long) <= 200
  for said in ('its node has died', 'its worker process has died'):
    died = f'The actor died because {said}. Node Id: 1\nmore'
    assert survey.cause(ValueError(died)) == said
  away = 'The actor x is unavailable: The actor is temporarily unavailable: RPC'
  assert survey.cause(ValueError(away)) == 'it cannot be reached'
  assert survey.cause(ValueError()) == 'ValueError'


# ------------------------------------------------------------------ running ---


def test_ctrl_c_still_comes_to_who_starts_a_ray(cluster):
  """Ray makes its process the leader of a group, which no terminal knows."""
  found = []
  for path in pathlib.Path('/proc').glob('[0-9]*'):
    with contextlib.suppress(OSError):
      called = (path / 'cmdline').read_bytes()
      if b'-c' in called and b'.Engine(slots=' in called:
        if parent(path.name) == os.getpid():
          found.append(int(path.name))
  assert [os.getpgid(process) for process in found] == [os.getpgrp()]


def test_a_sweep_on_a_cluster(cluster, tmp_path):
  """Same files, same lines; who fails is named; none knows of Ray."""
  made = live(tmp_path, ('hill', 'broken'), (0, 1))
  with entered(cluster, tmp_path) as place:
    assert len(place.check()) == 1
    assert 'up to 2 at a time, each with 1 core, on 1 node of' in place.says
    sweep = runner.Runner(made, place)
    sweep.run()
    assert place.free and not place.news()
  states = [(x.job.task, x.state, x.said) for x in sweep.entries]
  assert sorted(states) == [
    *[('broken', runner.FAILED, 'the task broke')] * 2,
    *[('hill', runner.DONE, '')] * 2,
  ]
  for job in made[::2]:
    assert json.loads((job.path / 'evaluation.json').read_text())['mean'] == 1
    log = job.log.read_text()
    assert log.startswith('# 20') and job.stages[0].command in log
    assert (
      len(json.loads(log.split('began ')[1].split(' ', 1)[1].split('\n')[0]))
      == 1
    )
    assert 'variables []' in log


def test_what_dies_with_its_node_is_not_said_to_have_ended(
  tmp_path, monkeypatch
):
  """Ray kills it, and then its actor: that it waits, so that this is seen."""
  monkeypatch.setattr(holder, 'DYING_SECONDS', 0.5)
  monkeypatch.setattr(node, 'number', lambda: 'a')
  monkeypatch.setattr(node, 'complaint', lambda *_: '')
  script = 'import os, sys; os.kill(os.getpid(), int(sys.argv[1]))'
  found = []
  for number in (0, 9):
    order = holder.Order(
      *('train', (), tmp_path / 'log', None, tmp_path, str(tmp_path), 1, {}),
      shares_gpu=False,
      start=lambda *_, n=number: [sys.executable, '-c', script, str(n)],
      token=node.Token('', ''),
      code='',
    )
    begin = time.monotonic()
    outcome = holder.Holder().run(order)
    found.append((outcome.status, time.monotonic() - begin > 0.5))
  assert found == [(0, False), (-9, True)]


def test_what_is_lost_starts_again(cluster, tmp_path, capsys):
  (job,) = live(tmp_path, ('slow',))

  def act():
    if not job.log.exists() or 'began' not in job.log.read_text():
      return False
    (first,) = begun(job)
    os.kill(parent(first), signal.SIGKILL)  # Of the actor.
    assert ends(first)
    (job.path / 'go on').touch()
    return True

  with entered(cluster, tmp_path) as place:
    watch = Watch(place, act)
    sweep = runner.Runner([job], place, look=watch)
    sweep.run()
  assert sweep.entries[0].state == runner.DONE
  assert len(begun(job, 2)) == 2
  lost = f'# lost on {socket.gethostname()}: its worker process has died; it'
  assert lost in job.log.read_text()
  assert any(f'again     {job.path}: lost on' in x for x in watch.told)
  assert capsys.readouterr().err == ''  # Ray would fill the terminal.


def test_what_is_lost_again_and_again_has_failed(
  cluster, tmp_path, monkeypatch
):
  monkeypatch.setattr(sweeping, 'LOSSES', 2)
  (job,) = live(tmp_path, ('slow',))
  killed = set()

  def act():
    if job.log.exists() and 'began' in job.log.read_text():
      for process in set(begun(job)) - killed:
        killed.add(process)
        os.kill(parent(process), signal.SIGKILL)

  with entered(cluster, tmp_path) as place:
    sweep = runner.Runner([job], place, look=Watch(place, act))
    sweep.run()
  assert sweep.entries[0].state == runner.FAILED and len(killed) == 2
  assert sweep.entries[0].said.endswith('2 times one after the other')


def test_code_that_was_changed_meanwhile_ends_it(
  cluster, tmp_path, monkeypatch
):
  """Once nothing runs any more: what has begun comes to its end."""
  monkeypatch.setattr(sweeping, '_HEAD_SECONDS', 0.1)
  made = live(tmp_path, ('slow', 'hill'))

  def act():
    looks.append([x for x in watch.told if 'without   ' in x])
    if len(looks) > 5 and looks[-5]:
      (made[0].path / 'go on').touch()

  with entered(cluster, tmp_path) as place:
    place.check()
    watch, looks, begin = Watch(place, act), [], place.start

    def start(*given):
      if looks:  # The second one: it is another than that of the nodes.
        monkeypatch.setattr(node, 'identity', lambda: 'another')
      return begin(*given)

    place.start = start
    with pytest.raises(engine.ClusterError) as caught:
      runner.Runner(made, place, look=watch).run()
  said = str(caught.value)
  assert said.startswith('no node of the cluster can run this: ')
  assert 'another is wanted' in said and '\n' not in said
  assert json.loads((made[0].path / 'metrics.jsonl').read_text())


def test_ctrl_c_and_what_waits_for_room(cluster, tmp_path, monkeypatch):
  """One waits for cores that are not there; the other has been stopped."""
  monkeypatch.setattr(sweeping, '_WAITING_SECONDS', 0.5)
  made = live(tmp_path, ('slow',), (0, 1, 2))
  size = places.Size(3, 5, 0.0)  # Of 8.
  stopped = []

  def act():
    waits = any(f'waits     {made[1].path}' in x for x in watch.told)
    if waits and 'began' in made[0].log.read_text():
      stopped.append(time.monotonic())
      raise KeyboardInterrupt

  with entered(cluster, tmp_path, size) as place:
    watch = Watch(place, act)
    with pytest.raises(KeyboardInterrupt):
      runner.Runner(made, place, look=watch).run()
    assert time.monotonic() - stopped[0] < local.SECONDS  # None was killed.
    (process,) = begun(made[0])
    assert ends(process)
    assert 'for a node with 5 free cores' in watch.told[-1]
  assert [job.log.exists() for job in made] == [True, True, False]


def test_nothing_is_left_of_a_killed_sweep(cluster, tmp_path):
  """And the next one waits for what is still ending."""
  (job,) = live(tmp_path, ('slow',))
  code = (
    'import sys; sys.path.insert(0, "tests"); import pathlib; '
    'import cluster_sweeping_test as t; from worldmodels.agents.sweeps import '
    'runner\n'
    'address, root = sys.argv[1:]\n'
    'with t.entered(address, pathlib.Path(root)) as place:\n'
    '  runner.Runner(t.live(pathlib.Path(root), ("slow",)), place).run()\n'
  )
  with subprocess.Popen(
    [sys.executable, '-c', code, cluster, str(tmp_path)], cwd=ROOT
  ) as driver:
    (process,) = begun(job)
    actor = parent(process)
    driver.kill()
  assert ends(process) and ends(actor)


def test_a_run_that_somebody_has_is_waited_for(tmp_path, monkeypatch):
  monkeypatch.setattr(holder, 'CLAIM_SECONDS', 0.6)
  claimed = (
    'import pathlib, sys, time; from worldmodels.data import claim; '
    'c = claim.Claim(pathlib.Path(sys.argv[1]), "x"); print(1, flush=True); '
    'sys.stdin.read()'
  )
  with subprocess.Popen(
    [sys.executable, '-c', claimed, str(tmp_path)],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    cwd=ROOT,
  ) as other:
    other.stdout.readline()
    begin = time.monotonic()
    holder.Holder()._await_claim(tmp_path)
    assert time.monotonic() - begin > 0.5
    other.kill()
  begin = time.monotonic()
  holder.Holder()._await_claim(tmp_path)
  holder.Holder()._await_claim(tmp_path / 'not there')
  assert time.monotonic() - begin < 0.5


def test_a_node_that_does_not_see_the_files(cluster, tmp_path):
  with entered(cluster, tmp_path, token='another', seconds=0.5) as place:
    with pytest.raises(engine.ClusterError) as caught:
      place.check()
  said = str(caught.value)
  assert said.startswith('no node of the cluster can run this: ')
  assert f'does not see the files in {tmp_path}' in said and '\n' not in said


def test_a_head_that_has_ended_is_said(monkeypatch, tmp_path):
  """Ray itself would end this process after a minute, without a word."""
  token = node.Token(str(tmp_path), '')
  answers = []
  of = types.SimpleNamespace(
    address='192.0.2.10:6379', answers=lambda: answers.pop()
  )
  place = sweeping.Cluster(of, places.Size(1, 1, 0.0), fake, token)
  monkeypatch.setattr(sweeping, '_HEAD_SECONDS', 0.0)
  answers.append(False)
  place.look()  # Not at once.
  monkeypatch.setattr(sweeping, '_LOST_SECONDS', 0.0)
  answers.append(True)
  place.look()
  answers.append(False)
  with pytest.raises(engine.ClusterError) as caught:
    place.look()
  assert str(caught.value).startswith('the head of the cluster at 192.0.2.10')
  answers += [False, False]
  with pytest.raises(engine.ClusterError, match='192.0.2.10:6379 has ended'):
    place.place()  # What was lost with it is not started again.
  assert 'the same command continues' in str(caught.value)


# -------------------------------------------------------------- the program ---


@pytest.mark.parametrize(
  'flags,says',
  [
    (['--cluster=127.0.0.1:1'], '--cluster=127.0.0.1:1: nobody answers there'),
    (['--cluster=nowhere'], "--cluster is 'nowhere'; it is HOST:PORT"),
    (['--cluster='], "--cluster is ''; it needs a value"),
    (['--job_cores=2'], '--job_cores goes with --cluster'),
    (['--cluster=local', '--job_gpus=1.5'], 'above 1 it is a whole number'),
  ],
)
def test_a_cluster_that_is_none(flags, says, tmp_path):
  logdir = tmp_path / 'sweep'
  done = run_program(
    'sweep', '--config=planet:debug', f'--logdir={logdir}', *flags
  )
  assert done.returncode in (1, 2) and not done.stdout, done.stdout
  assert says in done.stderr and done.stderr.count('\n') == 1
  assert not logdir.exists()


def test_without_ray_it_is_one_line(tmp_path):
  folder = tmp_path / 'no_ray'
  folder.mkdir()
  (folder / 'sitecustomize.py').write_text(
    'from importlib import util\n'
    'find = util.find_spec\n'
    'util.find_spec = lambda x, *rest: None if x == "ray" else find(x, *rest)\n'
  )
  done = run_program(
    *('sweep', '--cluster=local', f'--logdir={tmp_path / "sweep"}'),
    fresh=True,
    PYTHONPATH=str(folder),
  )
  assert done.returncode == 1 and 'worldmodels-tf[cluster]' in done.stderr
  assert done.stderr.count('\n') == 1 and not (tmp_path / 'sweep').exists()


def test_the_program_on_a_cluster(cluster, debug_run, tmp_path):
  """A run that is there is evaluated on a node; tables are as elsewhere."""
  logdir = tmp_path / 'a sweep, mine'
  run = logdir / 'planet_debug' / 'hill' / 'seed_0'
  shutil.copytree(debug_run, run)
  flags = (
    *('--config=planet:debug', '--tasks=hill', '--evaluation_episodes=1'),
    *(f'--cluster={cluster}', '--job_cores=1', '--jobs=2', '--noprobe'),
    f'--logdir={logdir}',
  )
  done = run_program('sweep', *flags)
  assert done.returncode == 0, done.stdout + done.stderr
  assert (
    'jobs       up to 1 at a time, each with 1 core, on 1 node of 8 cores'
    in (done.stdout)
  )
  with open(logdir / 'table.csv', newline='') as file:
    (row,) = csv.DictReader(file)
  evaluation = json.loads((run / 'evaluation.json').read_text())
  assert float(row['return']) == pytest.approx(evaluation['mean'], 1e-4)
  assert (logdir / 'report.html').exists()
  # All is done: no cluster is asked.
  done = run_program('sweep', *flags, '--cluster=127.0.0.1:1')
  assert done.returncode == 0, done.stderr
