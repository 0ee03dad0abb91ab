"""Files and directories are whole or absent, whatever happens while written."""

import errno
import fcntl
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys

import pytest

from worldmodels.data import atomic

ROOT = pathlib.Path(__file__).parent.parent
# What a temporary name ends with; half of it is random.
TEMPORARY = re.compile(r'\.[0-9a-f]{16}\.tmp$')

# Writes one and the same file and directory three times, with other content.
WRITE_THRICE = """
import pathlib, sys
from worldmodels.data import atomic
parent = pathlib.Path(sys.argv[1])
for number in b'123':
  content = bytes([number]) * 1000
  atomic.write_bytes(parent / 'file', content)
  with atomic.directory(parent / 'directory') as temporary:
    (temporary / 'part').mkdir()
    for name in ('one', 'part/two'):
      (temporary / name).write_bytes(content)
"""


def make(path, **contents):
  with atomic.directory(path) as temporary:
    for name, content in contents.items():
      (temporary / name).write_text(content)


def read(path):
  """The contents of all files below a directory, by name."""
  return {
    str(file.relative_to(path)): file.read_text()
    for file in sorted(path.rglob('*'))
    if file.is_file()
  }


def no_space(*arguments, **options):
  raise OSError(errno.ENOSPC, 'No space left on device')


@pytest.fixture
def calls(monkeypatch):
  """What is flushed and renamed, in order; temporary names end with .tmp."""
  found = []

  def record(name):
    function = getattr(os, name)

    def recorded(first, *arguments, **options):
      place = first
      if isinstance(first, int):
        place = os.readlink(f'/proc/self/fd/{first}')
      known = TEMPORARY.sub('.tmp', pathlib.Path(place).name)
      found.append((name, known))
      return function(first, *arguments, **options)

    monkeypatch.setattr(os, name, recorded)

  for name in ('fsync', 'replace', 'rename'):
    record(name)
  return found


# ------------------------------------------------------------------ files ----


def test_a_file_is_synced_before_it_gets_its_name(tmp_path, calls):
  atomic.write(tmp_path / 'file', lambda file: file.write(b'content'))
  assert calls == [
    ('fsync', 'file.tmp'),
    ('replace', 'file.tmp'),
    ('fsync', tmp_path.name),
  ]
  assert read(tmp_path) == {'file': 'content'}


def test_a_file_is_replaced(tmp_path):
  atomic.write_bytes(tmp_path / 'file', b'a longer content')
  atomic.write_bytes(tmp_path / 'file', b'content')
  assert read(tmp_path) == {'file': 'content'}


@pytest.mark.parametrize('error', [no_space, KeyboardInterrupt, ValueError])
def test_a_file_that_cannot_be_written_is_as_it_was(tmp_path, error):
  def fill(file):
    file.write(b'half of it')
    raise error()

  for before in ({}, {'file': 'content'}):
    for name, content in before.items():
      (tmp_path / name).write_text(content)
    with pytest.raises((OSError, KeyboardInterrupt, ValueError)) as caught:
      atomic.write(tmp_path / 'file', fill)
    if error is no_space:
      assert caught.value.errno == errno.ENOSPC
      assert caught.value.filename == str(tmp_path / 'file')
    assert read(tmp_path) == before


def test_a_file_is_not_written_to_find_that_it_can_be(tmp_path):
  path = tmp_path / 'file'
  for before in ({}, {'file': 'older'}):
    for name, content in before.items():
      (tmp_path / name).write_text(content)
    atomic.check_writable(path, b'content')
    assert read(tmp_path) == before
  with pytest.raises(FileNotFoundError):
    atomic.check_writable(tmp_path / 'none' / 'file', b'content')


def test_errors_of_writing_get_the_name_of_the_file(tmp_path):
  with pytest.raises(OSError) as caught, atomic.naming(tmp_path / 'file'):
    no_space()
  assert caught.value.filename == str(tmp_path / 'file')
  with pytest.raises(OSError) as caught, atomic.naming(tmp_path / 'file'):
    (tmp_path / 'other').read_text()
  assert caught.value.filename == str(tmp_path / 'other')


# ------------------------------------------------------------ directories ----


def test_a_directory_is_synced_before_it_gets_its_name(tmp_path, calls):
  with atomic.directory(tmp_path / 'new') as temporary:
    assert temporary.parent == tmp_path and not list(temporary.iterdir())
    (temporary / 'part').mkdir()
    for name in ('one', 'part/two'):
      (temporary / name).write_text(name)
    assert not (tmp_path / 'new').exists()
  assert sorted(calls[:4]) == [
    ('fsync', 'new.tmp'),
    ('fsync', 'one'),
    ('fsync', 'part'),
    ('fsync', 'two'),
  ]
  assert calls[4:] == [('rename', 'new.tmp'), ('fsync', tmp_path.name)]
  assert read(tmp_path) == {'new/one': 'one', 'new/part/two': 'part/two'}


def test_a_directory_is_replaced(tmp_path):
  make(tmp_path / 'new', one='1', two='2')
  make(tmp_path / 'new', one='3')
  assert read(tmp_path) == {'new/one': '3'}
  assert [path.name for path in tmp_path.iterdir()] == ['new']


@pytest.mark.parametrize('error', [no_space, KeyboardInterrupt, ValueError])
@pytest.mark.parametrize('there', [False, True])
def test_a_directory_that_cannot_be_written_is_as_it_was(
  tmp_path, error, there
):
  if there:
    make(tmp_path / 'new', one='1')
  before = read(tmp_path)
  with pytest.raises((OSError, KeyboardInterrupt, ValueError)) as caught:
    with atomic.directory(tmp_path / 'new') as temporary:
      (temporary / 'one').write_text('half of it')
      raise error()
  if error is no_space:
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / 'new')
  assert read(tmp_path) == before
  assert len(list(tmp_path.iterdir())) == there


@pytest.mark.parametrize('function', ['fsync', 'rename'])
def test_a_disk_that_fails_at_the_end_leaves_nothing(
  tmp_path, monkeypatch, function
):
  monkeypatch.setattr(os, function, no_space)
  with pytest.raises(OSError, match='No space'):
    make(tmp_path / 'new', one='1')
  assert not list(tmp_path.iterdir())


def test_a_directory_without_a_parent_is_an_error_of_its_name(tmp_path):
  with pytest.raises(FileNotFoundError):
    make(tmp_path / 'none' / 'new')
  assert not list(tmp_path.iterdir())


def test_a_directory_is_removed(tmp_path):
  make(tmp_path / 'old', one='1')
  make(tmp_path / 'other', two='2')
  atomic.remove_directory(tmp_path / 'old')
  assert read(tmp_path) == {'other/two': '2'}
  assert len(list(tmp_path.iterdir())) == 1


# -------------------------------------------------------------- leftovers ----


def leave(path, kind):
  """Makes the temporary file or directory of a path; returns it."""
  temporary = path.with_name(f'{path.name}.0123456789abcdef.tmp')
  if kind == 'directory':
    temporary.mkdir()
    (temporary / 'half').write_text('half')
  else:
    temporary.write_text('half')
  return temporary


@pytest.mark.parametrize('kind', ['file', 'directory'])
def test_leftovers_are_removed_unless_someone_is_writing(tmp_path, kind):
  left = leave(tmp_path / 'a', kind)
  written = leave(tmp_path / 'b', kind)
  (tmp_path / 'c').write_text('whole')
  descriptor = os.open(written, os.O_RDONLY)
  fcntl.flock(descriptor, fcntl.LOCK_EX)
  atomic.remove_leftovers(tmp_path)
  assert not left.exists() and written.exists()
  os.close(descriptor)
  atomic.remove_leftovers(tmp_path)
  assert read(tmp_path) == {'c': 'whole'}


def test_what_is_being_written_is_no_leftover(tmp_path):
  with atomic.directory(tmp_path / 'new') as temporary:
    (temporary / 'one').write_text('1')
    atomic.remove_leftovers(tmp_path)
    with pytest.raises(FileExistsError):
      make(tmp_path / 'new', one='2')
  assert read(tmp_path) == {'new/one': '1'}


def test_a_leftover_is_in_nobodys_way(tmp_path):
  leave(tmp_path / 'new', 'directory')
  leave(tmp_path / 'new.old', 'directory')
  leave(tmp_path / 'file', 'file')
  make(tmp_path / 'new', one='1')
  make(tmp_path / 'new', one='2')
  atomic.write_bytes(tmp_path / 'file', b'3')
  assert read(tmp_path) == {'file': '3', 'new/one': '2'}
  assert len(list(tmp_path.iterdir())) == 2


def test_only_temporary_names_of_ours_are_leftovers(tmp_path):
  """A name of the user's, what is no file, and another file's leftover."""
  (tmp_path / 'thesis.tmp').write_text('2')
  other = leave(tmp_path / 'other', 'file')
  pipe = tmp_path / 'file.0123456789abcdee.tmp'
  os.mkfifo(pipe)
  link = tmp_path / 'file.0123456789abcded.tmp'
  link.symlink_to(tmp_path / 'thesis.tmp')
  left = leave(tmp_path / 'file', 'file')
  atomic.write_bytes(tmp_path / 'file', b'3')
  assert not left.exists() and other.exists()
  atomic.remove_leftovers(tmp_path)
  assert not other.exists() and pipe.exists() and link.exists()
  assert (tmp_path / 'thesis.tmp').read_text() == '2'


def test_leftovers_of_a_long_name_are_found(tmp_path):
  path = tmp_path / ('ä' * 127)
  atomic.write_bytes(path, b'1')
  left = tmp_path / ('ä' * 100 + '.0123456789abcdef.tmp')
  left.write_text('half')
  atomic.write_bytes(path, b'2')
  assert read(tmp_path) == {path.name: '2'}


def test_what_was_just_made_is_no_leftover(tmp_path, monkeypatch):
  """Another writer looks between the making of a file and its lock."""
  flock, looks = fcntl.flock, []

  def lock(descriptor, how):
    if len(looks) < 3 and how == fcntl.LOCK_EX:
      looks.append(how)
      atomic.remove_leftovers(tmp_path)
    return flock(descriptor, how)

  monkeypatch.setattr(fcntl, 'flock', lock)
  atomic.write_bytes(tmp_path / 'file', b'1')
  make(tmp_path / 'new', one='1')
  assert len(looks) == 3
  assert read(tmp_path) == {'file': '1', 'new/one': '1'}


def test_without_locks_what_is_old_is_a_leftover(tmp_path, monkeypatch):
  def no_locks(descriptor, how):
    raise OSError(errno.ENOLCK, 'No locks available')

  monkeypatch.setattr(fcntl, 'flock', no_locks)
  old, new = (leave(tmp_path / name, 'file') for name in ('old', 'new'))
  os.utime(old, (1e9, 1e9))
  atomic.remove_leftovers(tmp_path)
  assert not old.exists() and new.exists()
  atomic.write_bytes(tmp_path / 'file', b'1')
  # What a kill has left of the same directory is in nobody's way.
  half = leave(tmp_path / 'folder', 'directory')
  make(tmp_path / 'folder', one='1')
  assert half.exists()
  os.utime(half, (1e9, 1e9))
  make(tmp_path / 'folder', one='2')
  new.unlink()
  assert read(tmp_path) == {'file': '1', 'folder/one': '2'}


# ------------------------------------------------------------------ links ----


@pytest.mark.parametrize('name', ['file.tmp', 'file'])
def test_no_link_is_followed(tmp_path, name):
  """Somebody has put a link to a file of the user's in the way."""
  precious = tmp_path / 'precious'
  precious.write_text('mine')
  (tmp_path / name).symlink_to(precious)
  atomic.check_writable(tmp_path / 'file', b'content')
  atomic.write_bytes(tmp_path / 'file', b'content')
  assert precious.read_text() == 'mine'
  assert not (tmp_path / 'file').is_symlink()
  assert (tmp_path / 'file').read_text() == 'content'


def test_temporary_names_cannot_be_foreseen(tmp_path, monkeypatch):
  drawn = iter(['0' * 16, '1' * 16])
  monkeypatch.setattr('secrets.token_hex', lambda size: next(drawn))
  precious = tmp_path / 'precious'
  precious.write_text('mine')
  taken = tmp_path / f'file.{"0" * 16}.tmp'
  taken.symlink_to(precious)
  with pytest.raises(FileExistsError) as caught:
    atomic.write_bytes(tmp_path / 'file', b'content')
  assert caught.value.filename == str(tmp_path / 'file')
  assert precious.read_text() == 'mine'
  atomic.write_bytes(tmp_path / 'file', b'content')
  assert precious.read_text() == 'mine'


# ------------------------------------------------------- kills and limits ----


def test_a_kill_at_any_change_leaves_nothing_half_written(tmp_path):
  kills = 0
  while True:
    parent = tmp_path / str(kills)
    parent.mkdir()
    done = subprocess.run(
      [
        *(sys.executable, '-m', 'tests.kill_points', parent, 'i'),
        *(str(kills + 1), '0', '-c', WRITE_THRICE, parent),
      ],
      cwd=ROOT,
      check=False,
    )
    atomic.remove_leftovers(parent)
    found = read(parent)
    names = {'file'} & found.keys()
    if (parent / 'directory').exists():
      names |= {'directory/one', 'directory/part/two'}
    assert found.keys() == names
    assert {path.name for path in parent.iterdir()} <= {'file', 'directory'}
    # Each is of one time, and the file of the last or of the one after.
    parts = {found.get(name) for name in names - {'file'}}
    assert len(parts) <= 1
    assert all(value == value[0] * 1000 for value in found.values())
    if done.returncode == 0:
      break
    assert done.returncode == -signal.SIGKILL
    kills += 1
  assert found['file'][0] == found['directory/one'][0] == '3'
  assert kills > 20


def test_a_file_that_breaks_off_leaves_nothing(tmp_path):
  """Against a real limit, of the size of files."""

  def limit():
    resource.setrlimit(resource.RLIMIT_FSIZE, (999, 999))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

  for lines in (
    WRITE_THRICE,
    WRITE_THRICE.replace('write_bytes', 'check_writable'),
    WRITE_THRICE.replace('atomic.write_bytes', 'print'),
  ):
    done = subprocess.run(
      [sys.executable, '-c', lines, tmp_path],
      cwd=ROOT,
      capture_output=True,
      text=True,
      preexec_fn=limit,
      check=False,
    )
    assert done.returncode == 1 and 'File too large' in done.stderr
    assert not list(tmp_path.iterdir())
