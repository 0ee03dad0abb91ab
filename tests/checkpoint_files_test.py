"""A checkpoint whose files lie is damaged: in one line, and in no time."""

import io
import json
import os
import pathlib
import zipfile

import numpy as np
import pytest

from worldmodels.agents.runs import checkpoint_files

VALUES = {
  'kernel': np.arange(12, dtype=np.float32).reshape(3, 4),
  'count': np.array(7, np.int64),
}

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
def directory(tmp_path):
  checkpoint_files.write(tmp_path, VALUES, dict(updates=5, wall_seconds=0.5))
  return tmp_path


def without_checksum(directory):
  """As who lies on purpose would write it."""
  path = directory / 'counters.json'
  told = json.loads(path.read_text())
  told.pop('checksum', None)
  path.write_text(json.dumps(told))
  return directory


def damage(directory, updates=5):
  with pytest.raises(checkpoint_files.DAMAGE) as caught:
    checkpoint_files.read(directory, updates)
  return str(caught.value)


def array(value=None, header=None):
  """The bytes of an array, with a header of another shape."""
  file = io.BytesIO()
  if header is None:
    np.save(file, value)
  else:
    np.lib.format.write_array_header_1_0(file, header)
    file.write(bytes(48))
  return file.getvalue()


def archive(directory, entries, **options):
  path = without_checksum(directory) / 'variables.npz'
  with zipfile.ZipFile(path, 'w', **options) as file:
    for name, content in entries:
      file.writestr(name, content)


def test_what_is_written_is_read(directory):
  for lied in (lambda directory: directory, without_checksum):
    values, counters = checkpoint_files.read(lied(directory), 5)
    assert counters == dict(updates=5, wall_seconds=0.5)
    assert values.keys() == VALUES.keys()
    for key, value in VALUES.items():
      assert values[key].dtype == value.dtype
      np.testing.assert_array_equal(values[key], value)


@pytest.mark.parametrize('name', ['counters.json', 'variables.npz'])
def test_what_is_no_regular_file_is_not_opened(name, directory):
  for make, message in (
    (os.mkfifo, f'{name} is a FIFO'),
    (lambda path: os.symlink('/dev/zero', path), f'{name} is a device'),
    (lambda path: os.symlink('nowhere', path), 'No such file'),
    (os.mkdir, f'{name} is a directory'),
  ):
    (directory / name).unlink()
    make(directory / name)
    assert message in damage(directory)


def test_a_file_in_place_of_the_directory(directory):
  assert 'Not a directory' in damage(directory / 'counters.json')


@pytest.mark.parametrize(
  'told,message',
  [
    ({}, 'has no key updates'),
    ([5], 'is no object'),
    (5, 'is no object'),
    (None, 'is no object'),
    (dict(updates='5'), "updates of counters.json is '5', not a whole number"),
    (dict(updates=True), 'is True, not a whole number'),
    (dict(updates=-5), 'is -5, not a whole number'),
    (dict(updates=5.0), 'is 5.0, not a whole number'),
    (dict(updates=7), 'of 7 updates, its directory of 5'),
    (dict(updates=5, wall_seconds=None), 'is None, not a finite number'),
    (dict(updates=5, wall_seconds=float('nan')), 'is nan, not a finite'),
    (dict(updates=5, checksum='a'), "checksum of counters.json is 'a'"),
    (dict(updates=5, checksum=5), 'its checksum is wrong'),
  ],
)
def test_counters_have_a_schema(told, message, directory):
  """An empty object once restarted a run at 0 updates with trained weights."""
  (directory / 'counters.json').write_text(json.dumps(told))
  assert message in damage(directory)


def test_counters_that_are_no_json(directory):
  path = directory / 'counters.json'
  for content in (b'', b'{', b'\xff\xfe', b'[' * 100_000, b'9' * 10_000):
    path.write_bytes(content)
    assert 'counters.json is damaged' in damage(directory)
  os.truncate(path, 1 << 40)
  assert 'larger than 16 MB' in damage(directory)


@pytest.mark.parametrize(
  'shape', [(10**12,), (10**9, 10**9), (13,), (11,), (-1,), ()]
)
def test_a_header_that_does_not_fit_its_array(shape, directory):
  """Neither memory is asked for, nor the next array read."""
  header = dict(descr='<f4', fortran_order=False, shape=shape)
  entries = [('kernel.npy', array(header=header)), ('x.npy', array([1.0]))]
  archive(directory, entries)
  assert 'and a header that says float32 [' in damage(directory)


@pytest.mark.parametrize(
  'header', ['(' * 9000, "{1: 2, 'a': 3}", "{'descr': '(1,', 'shape': (), }"]
)
def test_a_header_that_is_no_text_of_one(header, directory):
  """NumPy says so by errors of other kinds than ValueError."""
  head = b'\x93NUMPY\1\0' + len(header).to_bytes(2, 'little')
  archive(directory, [('a.npy', head + header.encode())])
  assert damage(directory).count('\n') == 0


def test_archives_that_are_no_checkpoint(directory):
  zeros = array(np.zeros(1_000_000, np.float32))
  archive(directory, [('a.npy', zeros)], compression=zipfile.ZIP_DEFLATED)
  assert 'a.npy is compressed' in damage(directory)
  archive(directory, [('a.txt', b'words')])
  assert 'a.txt is no array' in damage(directory)
  archive(directory, [('a.npy', b'words')])
  assert 'magic string' in damage(directory)
  pickled = io.BytesIO()
  np.save(pickled, np.array([{}]), allow_pickle=True)
  archive(directory, [('a.npy', pickled.getvalue())])
  assert damage(directory)  # Whatever its size is told to be.


def test_a_file_larger_than_what_is_in_it(directory):
  """Without a block on disk, before an archive of nothing."""
  path = without_checksum(directory) / 'variables.npz'
  with open(path, 'wb') as file:
    file.truncate(1 << 32)
  with zipfile.ZipFile(path, 'a') as file:
    file.writestr('a.npy', array([1.0]))
  assert 'says that its arrays have' in damage(directory)
  os.truncate(path, 1 << 43)
  with zipfile.ZipFile(path, 'a') as file:
    file.writestr('a.npy', array([1.0]))
  assert 'more than the memory here' in damage(directory)


def test_one_array_that_two_names_share(directory):
  """Else a small file might unfold to a large one."""
  path = without_checksum(directory) / 'variables.npz'
  content = path.read_bytes()
  with zipfile.ZipFile(path, 'a') as file:
    file.filelist += file.filelist[:1] * 5
    file._didModify = True
  assert path.read_bytes() != content
  assert 'two arrays of one name' in damage(directory)


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_damage(bad, tmp_path):
  values = dict(VALUES, slot=np.array([1.0, bad], np.float16))
  assert checkpoint_files.not_finite(values) == ['slot']
  checkpoint_files.write(tmp_path, values, dict(updates=5))
  assert damage(tmp_path) == '1 of 3 variables are not finite: slot'


def test_files_stay_readable_while_the_checkpoint_is_removed(
  directory, monkeypatch
):
  """From the moment on at which both are open."""
  check = checkpoint_files._check_sizes

  def remove(*arguments):
    for path in directory.iterdir():
      path.unlink()
    check(*arguments)

  monkeypatch.setattr(checkpoint_files, '_check_sizes', remove)
  values, _ = checkpoint_files.read(directory, 5)
  assert values.keys() == VALUES.keys()
  with pytest.raises(FileNotFoundError):
    checkpoint_files.read(pathlib.Path(directory), 5)
