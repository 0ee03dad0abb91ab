"""What may be opened, and what JSON may be; run_directory_test has the rest."""

import math
import os

import pytest

from worldmodels.data import reading

pytestmark = pytest.mark.timeout(20)


def test_a_regular_file_and_a_link_to_one(tmp_path):
  path = tmp_path / 'file'
  path.write_bytes(b'{"a": [1, null]}')
  (tmp_path / 'link').symlink_to(path)
  for name in ('file', 'link'):
    assert reading.json_in(tmp_path / name) == {'a': [1, None]}
    assert reading.bytes_in(tmp_path / name) == path.read_bytes()
  with reading.open_regular(path) as file:
    assert reading.size(file) == 16
    assert reading.content(file, path, 16) == path.read_bytes()
  with reading.open_regular(path) as file:
    with pytest.raises(reading.FileError, match='is larger than 0 MB'):
      reading.content(file, path, 15)
  descriptor = reading.descriptor_of(path)
  assert os.pread(descriptor, 3, 1) == b'"a"'
  os.close(descriptor)
  with pytest.raises(FileNotFoundError):
    reading.json_in(tmp_path / 'none')


def test_nothing_else_is_opened(tmp_path):
  os.mkfifo(tmp_path / 'fifo')
  (tmp_path / 'folder').mkdir()
  (tmp_path / 'zero').symlink_to('/dev/zero')
  (tmp_path / 'loop').symlink_to('fifo')
  for name, kind in (
    ('fifo', 'a FIFO'),
    ('folder', 'a directory'),
    ('zero', 'a device'),
    ('loop', 'a FIFO'),
  ):
    for read in (
      *(reading.json_in, reading.bytes_in),
      *(reading.descriptor_of, reading.reopened),
    ):
      with pytest.raises(reading.IrregularError) as caught:
        read(tmp_path / name)
      assert str(caught.value) == (
        f'{tmp_path / name} is {kind}, not a regular file'
      )


def test_what_becomes_something_else_is_not_read(tmp_path, monkeypatch):
  """Between the look at a name and its opening."""
  (tmp_path / 'file').write_text('{}')
  (tmp_path / 'folder').mkdir()
  status = os.stat(tmp_path / 'file')
  folder = os.stat(tmp_path / 'folder')
  monkeypatch.setattr(os, 'stat', lambda *_, **options: status)
  opened, closed = [], []
  monkeypatch.setattr(os, 'open', lambda *_, **options: opened.append(77) or 77)
  monkeypatch.setattr(os, 'close', closed.append)
  monkeypatch.setattr(os, 'fstat', lambda _: folder)
  with pytest.raises(reading.IrregularError, match='is a directory'):
    reading.descriptor_of(tmp_path / 'folder')
  assert opened == closed == [77]


def test_what_is_too_large_is_not_read(tmp_path):
  path = tmp_path / 'file'
  with path.open('wb') as file:
    file.truncate(10**12)  # Of which the disk holds nothing.
  for read in (reading.bytes_in, reading.json_in):
    with pytest.raises(reading.FileError, match=f'{path} is larger than 16 MB'):
      read(path)
  with pytest.raises(reading.FileError, match='is larger than 0 MB'):
    reading.bytes_in(path, 9)


def test_a_file_that_says_it_is_empty_has_an_end():
  """Those of /proc have no size."""
  with reading.open_regular('/proc/self/maps') as file:
    with pytest.raises(reading.FileError, match='larger'):
      reading.content(file, 'maps', 10)


@pytest.mark.parametrize(
  'text', [b'', b'{', b'\xff', b'{"a": 1} 2', b'[' * 200_000, b'9' * 9000]
)
def test_no_json(text, tmp_path):
  with pytest.raises(reading.FileError, match='^a.json is damaged: ') as caught:
    reading.parsed(text, 'a.json')
  assert '\n' not in str(caught.value)
  (tmp_path / 'a.json').write_bytes(text)
  with pytest.raises(reading.FileError, match='a.json is damaged: '):
    reading.json_in(tmp_path / 'a.json')


@pytest.mark.parametrize('text', ['[NaN]', '-Infinity', '{"a": Infinity}'])
def test_numbers_that_are_not_finite_may_be_refused(text, tmp_path):
  """Python writes them, as figures of a run may be; they are no JSON."""
  path = tmp_path / 'a.json'
  path.write_text(text)
  assert reading.json_in(path) is not None
  with pytest.raises(reading.FileError, match=r'a\.json is damaged: -?(NaN|I)'):
    reading.json_in(path, finite=True)


def test_json_within_json():
  deepest = reading.DEEPEST
  assert reading.parsed(b'[' * deepest + b']' * deepest, 'a.json')
  for text in (b'[' * 30 + b'1' + b']' * 30, b'{"a":' * 30 + b'1' + b'}' * 30):
    with pytest.raises(reading.FileError, match='deeper than 20'):
      reading.parsed(text, 'a.json')


def test_numbers():
  assert all(map(reading.is_number, [0, -1, 2.5, 1e200]))
  assert not any(
    map(reading.is_number, [True, None, '1', math.nan, -math.inf, 10**400])
  )
  assert all(map(reading.is_count, [0, 2**63 - 1]))
  assert not any(map(reading.is_count, [True, -1, 1.0, '1', None, 2**63]))
