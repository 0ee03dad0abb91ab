"""Tests of the ages of episodes."""

import json

import pytest

from worldmodels.agents.cluster.ages import Ages
from worldmodels.data import reading


def test_ages_are_kept(tmp_path):
  path = tmp_path / 'collected.jsonl'
  ages = Ages(path)
  assert ages.values(3) == {}
  ages.note(3, acted=100, arrived=130, seconds=1.23456, collector=2)
  ages.note(5, acted=110, arrived=130, seconds=2.0, collector=1)
  wanted = {'age': 30, 'acting_seconds': 1.235}
  assert ages.values(3) == wanted
  again = Ages(path)
  assert again.values(3) == wanted and again.values(5)['age'] == 20
  first = json.loads(path.read_text().splitlines()[0])
  assert first == dict(
    number=3, acted=100, arrived=130, seconds=1.235, collector=2
  )


def test_the_last_line_of_a_number_counts(tmp_path):
  ages = Ages(tmp_path / 'a')
  ages.note(3, 100, 130, 1.0, 1)
  ages.note(3, 120, 160, 1.0, 1)
  assert ages.values(3)['age'] == Ages(tmp_path / 'a').values(3)['age'] == 40


@pytest.mark.parametrize(
  'left',
  [
    b'{"number": 4, "acted": 1',
    b'\xff\n\n[]\n{}\n3\n{"number": -1, "acted": 0, "arrived": 0}\n',
    b'{"number": "4", "acted": 1, "arrived": 2, "seconds": 1}',
  ],
)
def test_damaged_lines_are_left_out(tmp_path, left):
  path = tmp_path / 'a'
  Ages(path).note(3, 100, 130, 1.0, 1)
  path.write_bytes(path.read_bytes() + left)
  ages = Ages(path)
  assert ages.values(4) == {}
  ages.note(4, 1, 2, 1.0, 1)
  again = Ages(path)
  assert again.values(3)['age'] == 30 and again.values(4)['age'] == 1


def test_what_is_no_file_is_refused(tmp_path):
  (tmp_path / 'a').mkdir()
  with pytest.raises(reading.FileError, match='not a regular file'):
    Ages(tmp_path / 'a')
