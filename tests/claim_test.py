"""One program at a time, where there are locks and where there are none."""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from worldmodels.data import claim
from worldmodels.data import reading

ROOT = pathlib.Path(__file__).parent.parent
# Claims, says so, and waits until it is told to end.
HOLD = """
import errno, fcntl, pathlib, sys
from worldmodels.data import claim
def no_locks(*_):
  raise OSError(errno.ENOLCK, 'No locks available')
if sys.argv[2] == 'no locks':
  fcntl.flock = no_locks
try:
  held = claim.take(pathlib.Path(sys.argv[1]), 'is training in')
except claim.ClaimError as error:
  print(error, flush=True)
else:
  print('claimed', flush=True)
  sys.stdin.read()
"""


def no_locks(*_):
  raise OSError(errno.ENOLCK, 'No locks available')


@pytest.fixture(params=['locks', 'no locks'])
def locks(request, monkeypatch):
  """Whether the file system has locks."""
  if request.param == 'no locks':
    monkeypatch.setattr(fcntl, 'flock', no_locks)
  return request.param


@pytest.fixture
def without_locks(monkeypatch):
  monkeypatch.setattr(fcntl, 'flock', no_locks)


@pytest.fixture
def started(locks):
  """Starts a process that claims a directory; returns it and what it says."""
  with contextlib.ExitStack() as stack:

    def start(directory):
      process = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(directory), locks],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
      )
      for end in (process.stdout.close, process.wait, process.kill):
        stack.callback(end)
      return process, process.stdout.readline().strip()

    yield start


def refused(directory, claimed=claim.Claim):
  """The line with which a claim is refused."""
  with pytest.raises(claim.ClaimError) as caught:
    claimed(directory, 'is training in')
  assert '\n' not in str(caught.value)
  return str(caught.value)


def said(**values):
  """What a claim without a lock says of a process of here that has ended."""
  ended = dict(claim.says_of_itself(), process=2**22 + 1, locked=False)
  return json.dumps(ended | values)


def told(monkeypatch, file, content):
  """Has the system say something else of itself in one of its files."""
  line = claim._line
  monkeypatch.setattr(
    claim, '_line', lambda path: content if path == file else line(path)
  )


def names(directory):
  return [path.name for path in directory.iterdir()]


# ------------------------------------------------------------ one program ---


def test_one_at_a_time(locks, tmp_path):
  first = claim.Claim(tmp_path, 'is training in')
  assert names(tmp_path) == ['claim.json']
  for claimed in (claim.Claim, claim.take):
    assert refused(tmp_path, claimed) == (
      f'another program is training in {tmp_path} (process {os.getpid()} on '
      f'{claim.says_of_itself()["host"]})'
    )
  first.release()
  first.release()
  assert not names(tmp_path)
  second = claim.Claim(tmp_path, 'is training in')
  assert refused(tmp_path)
  del second
  assert not names(tmp_path)


def test_those_who_share_it_have_the_same(locks, tmp_path, started):
  (tmp_path / 'link').symlink_to('.')
  held = claim.take(tmp_path)
  assert claim.take(tmp_path / 'link') is held
  refused(tmp_path)  # Nobody else, though of this process.
  _, line = started(tmp_path)
  assert line.startswith(f'another program is training in {tmp_path} (process')
  del held
  assert names(tmp_path) == ['link']
  _, line = started(tmp_path)
  assert line == 'claimed'


def test_a_child_has_none_of_it(locks, tmp_path):
  """Nor does its end end that of its parent."""
  held = claim.take(tmp_path)
  child = os.fork()
  if not child:
    try:
      claim.take(tmp_path)
    except claim.ClaimError:
      held.release()
      os._exit(7)
    os._exit(0)
  assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
  assert names(tmp_path) == ['claim.json'] and refused(tmp_path)


# ----------------------------------------------------------- two programs ---


@pytest.mark.parametrize('kill', [False, True])
def test_a_process_that_ends_has_no_claim(locks, tmp_path, started, kill):
  """Nor one that was killed: its file stays, and says nothing any more."""
  process, line = started(tmp_path)
  assert line == 'claimed'
  for claimed in (claim.Claim, claim.take):
    line = refused(tmp_path, claimed)
    assert f'training in {tmp_path} (process {process.pid} on' in line
    assert 'remove' not in line  # It can be seen that it has not ended.
  if kill:
    process.send_signal(signal.SIGKILL)
  process.communicate('')
  assert process.returncode == (-signal.SIGKILL if kill else 0)
  assert names(tmp_path) == (['claim.json'] if kill else [])
  held = claim.take(tmp_path)
  assert names(tmp_path) == ['claim.json']
  assert f'process {os.getpid()} on' in refused(tmp_path)
  del held
  assert not names(tmp_path)


def test_waiting_is_worth_it(tmp_path, started):
  process, _ = started(tmp_path)
  with pytest.raises(claim.ClaimError):
    claim.take(tmp_path, wait_seconds=0.1)
  process.stdin.close()
  before = time.monotonic()
  assert claim.take(tmp_path, wait_seconds=20)
  assert time.monotonic() - before < 20


# ------------------------------------------------------ what a file can say ---


@pytest.mark.parametrize(
  'values',
  [
    dict(host='far'),
    dict(machine='other'),
    dict(namespace='pid:[1]'),
    dict(boot='the last', machine='other'),
  ],
)
def test_what_cannot_be_seen_from_here_is_not_taken(values, tmp_path, locks):
  """A claim of another machine, where the file is the claim."""
  path = tmp_path / 'claim.json'
  path.write_text(said(**values))
  for claimed in (claim.Claim, claim.take):
    line = refused(tmp_path, claimed)
    assert f'(process {2**22 + 1} on {values.get("host", "")}' in line
    ask = f'if it has ended, which cannot be seen from here, remove {path}'
    assert line.endswith(ask)
  assert path.read_text() == said(**values) and names(tmp_path) == [path.name]
  path.unlink()
  assert claim.take(tmp_path)


@pytest.mark.parametrize(
  'text', [said(process='x'), said(host='two\nlines'), '', '[]', 'null']
)
def test_a_file_that_says_nothing_is_a_claim_without_locks(
  text, tmp_path, monkeypatch
):
  path = tmp_path / 'claim.json'
  path.write_text(text)
  with monkeypatch.context() as patch:
    patch.setattr(fcntl, 'flock', no_locks)
    assert refused(tmp_path).endswith(f'from here, remove {path}')
    assert path.read_text() == text
  assert claim.take(tmp_path)  # As a kill before the first word leaves it.


@pytest.mark.parametrize(
  'values',
  [
    {},
    dict(process=2**62),
    # Another process has the number by now.
    dict(process=os.getpid(), started='1'),
    dict(process=os.getpid(), boot='the last'),
  ],
)
def test_what_a_kill_left_is_taken(
  values, tmp_path, without_locks, monkeypatch
):
  told(monkeypatch, '/etc/machine-id', 'an identity')
  (tmp_path / 'claim.json').write_text(said(**values))
  held = claim.Claim(tmp_path, 'is training in')
  assert refused(tmp_path)
  del held
  assert not names(tmp_path)


def test_a_restart_is_seen_where_the_machine_has_an_identity(
  tmp_path, without_locks, monkeypatch
):
  told(monkeypatch, '/etc/machine-id', '')
  (tmp_path / 'claim.json').write_text(said(boot='the last'))
  assert 'remove' in refused(tmp_path)
  (tmp_path / 'claim.json').write_text(said())
  assert claim.take(tmp_path)


def test_a_process_of_which_nothing_is_seen_is_alive(
  tmp_path, without_locks, monkeypatch
):
  """As those of other users are where /proc hides them."""
  (tmp_path / 'claim.json').write_text(said(process=1, started='1'))

  def not_yours(*_):
    raise PermissionError

  monkeypatch.setattr(os, 'kill', not_yours)
  told(monkeypatch, '/proc/1/stat', '')
  assert '(process 1 on' in refused(tmp_path)


def test_two_that_find_it_ended_do_not_both_take_it(
  tmp_path, without_locks, monkeypatch
):
  """Between the look of one and its taking, the other has made its own."""
  path = tmp_path / 'claim.json'
  path.write_text(said())
  look, theirs = claim._check_ended, []

  def check(*arguments):
    look(*arguments)
    if not theirs:
      theirs.append(None)
      theirs[0] = claim.Claim(tmp_path, 'is training in')

  monkeypatch.setattr(claim, '_check_ended', check)
  assert f'process {os.getpid()} on' in refused(tmp_path)
  assert names(tmp_path) == ['claim.json']
  assert json.loads(path.read_text())['process'] == os.getpid()
  assert refused(tmp_path)


# ------------------------------------------------------------- the file ---


def test_with_a_lock_a_full_disk_is_no_matter(tmp_path, monkeypatch):
  def full(*_):
    raise OSError(errno.ENOSPC, 'No space left on device')

  monkeypatch.setattr(os, 'pwrite', full)
  held = claim.Claim(tmp_path, 'is training in')
  assert refused(tmp_path)
  del held
  monkeypatch.setattr(fcntl, 'flock', no_locks)
  with pytest.raises(OSError, match='No space left'):
    claim.Claim(tmp_path, 'is training in')


def test_a_file_that_is_none_of_ours_is_not_followed(tmp_path):
  target = tmp_path / 'thesis'
  target.write_text('words')
  (tmp_path / 'claim.json').symlink_to(target)
  with pytest.raises(OSError):
    claim.take(tmp_path)
  assert target.read_text() == 'words'
  (tmp_path / 'claim.json').unlink()
  os.mkfifo(tmp_path / 'claim.json')
  with pytest.raises(reading.FileError, match='is a FIFO'):
    claim.take(tmp_path)
