"""Tests of how a Ray is started, joined and left."""

import contextlib
import errno
import importlib.util
import os
import pathlib
import socket
import subprocess
import sys
import types

import pytest

from worldmodels import errors
from worldmodels.agents.cluster import engine
from worldmodels.agents.cluster import folders
from worldmodels.agents.cluster import ray_failures
from worldmodels.agents.cluster import start
from worldmodels.agents.runs import memory

ROOT = pathlib.Path(__file__).parent.parent
JOINS = """
import sys
from worldmodels.agents.cluster import engine
from worldmodels.agents.cluster import ray_failures
from worldmodels.agents.cluster import start
from worldmodels.agents.runs import memory
with engine.Engine(sys.argv[1]) as joined:
  ray = joined.ray

  @ray.remote(num_cpus=1)
  def where():
    import worldmodels
    return worldmodels.__file__

  assert not joined.local
  print(ray.get(where.remote()))
assert not ray.is_initialized()
"""
LEFT = """
import atexit, sys
from worldmodels.agents.cluster import ray_failures
atexit.register(print, 'done at the end', end='')
ray_failures.end_with(int(sys.argv[1]))
"""
ENDS = """
import os, signal
import processes
from worldmodels.agents.cluster import engine
from worldmodels.agents.cluster import ray_failures
from worldmodels.agents.cluster import start
from worldmodels.agents.runs import memory
with engine.Engine(slots=1, store_mb=80) as started:
  assert os.environ['RAY_AUTH_MODE'] == 'token'
  (head,) = [x for x, text in processes.below().items() if 'gcs_server' in text]
  assert started.answers()
  os.kill(head, signal.SIGSTOP)
  engine._REACH_SECONDS = 0.5
  stopped = started.answers()
  os.kill(head, signal.SIGCONT)
  engine._REACH_SECONDS = 30
  assert not stopped
  assert started.answers()
  print(started.ray._private.worker._global_node.get_session_dir_path())
  print(started.address, flush=True)
  os.kill(os.getpid(), signal.SIGKILL)
"""


def run(text, *arguments, **variables):
  return subprocess.run(
    [sys.executable, '-c', text, *arguments],
    cwd=ROOT,
    env={**os.environ, **variables},
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
  )


def test_missing_ray_names_the_extra(monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(errors.UserError, match=r'worldmodels-tf\[cluster\]'):
    engine.check()
  with pytest.raises(engine.ClusterError, match='extra `cluster`'):
    engine.Engine()


def test_ray_that_cannot_be_found_or_imported(monkeypatch):
  def hidden(name):
    raise ModuleNotFoundError(f'No module named {name!r}')

  monkeypatch.setitem(sys.modules, 'ray', None)
  with pytest.raises(engine.ClusterError, match='cannot be imported'):
    ray_failures.imported()
  monkeypatch.setattr(importlib.util, 'find_spec', hidden)
  with pytest.raises(engine.ClusterError, match='extra `cluster`'):
    engine.check()


@pytest.mark.parametrize(
  'address',
  [
    'auto',
    'host',
    ':6379',
    'host:',
    'host:0',
    'host:65536',
    'ray://a:1',
    'a b:1',
  ],
)
def test_what_is_no_address(address):
  with pytest.raises(errors.OptionError, match='--cluster is .*HOST:PORT'):
    engine.check(address)


@pytest.mark.parametrize('address', ['127.0.0.1:6379', 'head:1', '[::1]:6379'])
def test_addresses(address):
  engine.check(address)


def test_to_check_imports_no_ray():
  done = run(
    'import sys; from worldmodels.agents.cluster import engine; '
    'engine.check("a:1"); engine.Engine(); assert "ray" not in sys.modules'
  )
  assert done.returncode == 0, done.stderr


def test_nobody_answers():
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    address = f'127.0.0.1:{free.getsockname()[1]}'
    with pytest.raises(engine.ClusterError) as caught:
      engine.Engine(address).__enter__()
  text = str(caught.value)
  assert text.startswith(f'--cluster={address}: nobody answers there')
  assert '\n' not in text


def test_versions_that_differ_are_one_line():
  text = (
    'Version mismatch: The cluster was started with:\n    Ray: 2.50.0\n    '
    'Python: 3.12.1\nThis process on node 127.0.0.1 was started with:\n    '
    'Ray: 2.60.0\n    Python: 3.11.7\n'
  )
  assert ray_failures.line(RuntimeError(text)) == (
    'its Ray is 2.50.0 on Python 3.12.1, this one 2.60.0 on Python 3.11.7; '
    'install the same in both places'
  )


def test_joining_leaves_it_running(cluster):
  for _ in range(2):
    done = run(JOINS, cluster)
    assert done.returncode == 0, done.stderr
    assert pathlib.Path(done.stdout.strip()).is_relative_to(ROOT)
    assert not done.stderr


def test_listens_on_loopback_alone(cluster):
  host, port = cluster.split(':')
  assert host == '127.0.0.1'
  # 127.0.0.2 is this machine too, but not what was bound.
  with pytest.raises(OSError):
    socket.create_connection(('127.0.0.2', int(port)), 1)


def test_asks_for_a_token(cluster, monkeypatch):
  monkeypatch.setenv('RAY_AUTH_TOKEN', '1' * 64)
  monkeypatch.setenv('RAY_NUM_REDIS_GET_RETRIES', '2')  # A second each.
  done = run(JOINS, cluster)
  assert done.returncode
  assert 'ClusterError' in done.stderr


def test_a_ray_of_ours_and_its_end():
  """It asks for a token, sees a stopped head, and ends with its process."""
  path = f'{ROOT}:{ROOT / "tests"}'
  done = run(ENDS, RAY_AUTH_MODE='disabled', PYTHONPATH=path)
  assert done.returncode == -9, done.stderr
  session, address = done.stdout.split()
  host, port = address.split(':')
  with pytest.raises(OSError):
    while True:  # The test has a limit.
      socket.create_connection((host, int(port)), 1).close()
  folder = pathlib.Path(session).parent
  assert folder.exists()
  with folders.made():  # Of the next one.
    assert not folder.exists()


def test_a_folder_that_another_start_removes_is_made_again(monkeypatch):
  locked, swept = folders._locked, []

  @contextlib.contextmanager
  def late(folder):
    """Another start sees the folder before it is held, two times."""
    if len(swept) < 2:
      swept.append(folder)
      if len(swept) == 1:  # That one is about to remove it.
        raise BlockingIOError('held by another')
      with locked(folder):
        folder.rmdir()
        yield
    else:
      with locked(folder):
        yield

  monkeypatch.setattr(folders, '_locked', late)
  monkeypatch.setattr(pathlib.Path, 'glob', lambda *_: [])
  with folders.made() as folder:
    assert len(swept) == 2 and folder not in swept and folder.is_dir()
    with pytest.raises(BlockingIOError), locked(folder):
      pass
  assert not folder.exists()
  swept[0].rmdir()


def test_where_nothing_can_be_locked_no_folder_is_left(monkeypatch, tmp_path):
  def no_locks(descriptor, how):
    raise OSError(errno.ENOLCK, 'No locks available')

  monkeypatch.setattr(folders.fcntl, 'flock', no_locks)
  monkeypatch.setattr(folders, '_LONGEST_PARENT', 1000)
  monkeypatch.setattr(folders.tempfile, 'tempdir', str(tmp_path))
  with pytest.raises(OSError, match='No locks available'), folders.made():
    pass
  assert not list(tmp_path.iterdir())


def test_the_folder_is_where_the_user_has_temporary_files(
  monkeypatch, tmp_path
):
  """Not in that of the program, which ends before a Ray may."""
  program = tmp_path / f'{folders.OF_PROGRAM}abcd1234'
  program.mkdir()
  monkeypatch.setattr(folders.tempfile, 'tempdir', str(program))
  with folders.made() as folder:  # Paths of sockets would be too long.
    assert folder.parent == pathlib.Path('/tmp')
  monkeypatch.setattr(folders, '_LONGEST_PARENT', 1000)
  with folders.made() as folder:
    assert folder.parent == tmp_path
  assert list(tmp_path.iterdir()) == [program]


@pytest.mark.parametrize('answers', [True, False])
def test_a_head_that_does_not_answer_is_not_waited_for(monkeypatch, answers):
  """To leave it would take Ray for ever, now or when the process ends."""
  left, forgotten, ends = [], [], []
  joined = engine.Engine('127.0.0.1:1')  # Nobody is there.
  joined.ray = types.SimpleNamespace(shutdown=lambda: left.append(True))
  monkeypatch.setattr(ray_failures, 'answers', lambda *_: answers)
  monkeypatch.setattr(engine.atexit, 'unregister', forgotten.append)
  monkeypatch.setattr(ray_failures, 'end_with', ends.append)
  joined._part()
  assert left.pop() and not forgotten
  monkeypatch.setattr(engine, '_reach', lambda *_: None)  # Somebody is.
  joined._part()
  assert left == [True] * answers
  assert forgotten == [joined.ray.shutdown] * (not answers)
  assert ends == [0] * (not answers)


@pytest.mark.parametrize('status', [0, 130])
def test_what_is_to_be_done_at_the_end_is_done(status):
  done = run(LEFT, str(status))
  assert (done.returncode, done.stdout) == (status, 'done at the end')


@pytest.mark.parametrize(
  'kind, status', [(KeyboardInterrupt, 130), (OSError, 1)]
)
def test_a_program_ends_as_what_ended_it(kind, status):
  left = engine.Engine('127.0.0.1:1')
  assert left._status == 0
  left.__exit__(kind, None, None)
  assert left._status == status


def test_environment_is_given_back(monkeypatch):
  monkeypatch.setenv('A_KEY', 'a')
  monkeypatch.delenv('B_KEY', raising=False)
  with engine._environment({'A_KEY': 'b', 'B_KEY': 'c'}):
    assert os.environ['A_KEY'] == 'b' and os.environ['B_KEY'] == 'c'
  assert os.environ['A_KEY'] == 'a' and 'B_KEY' not in os.environ


def test_more_collectors_than_a_machine_holds_are_refused(monkeypatch):
  monkeypatch.setattr(memory, 'free_bytes', lambda: 3 * 2**30)
  with pytest.raises(engine.ClusterError, match='has 3 left: at most 6, or'):
    with start.collectors(None, None, None, 7, '', 1.0, {}):
      pass
