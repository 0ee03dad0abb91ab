import json
import os

import pytest

from worldmodels import errors
from worldmodels.agents.runs import out_file


def test_values_are_written_whole(tmp_path):
  path = tmp_path / 'figures.json'
  for value in (1, 2):
    out_file.write_json('--json', str(path), {'a': value})
  assert json.loads(path.read_text()) == {'a': 2}
  assert os.listdir(tmp_path) == ['figures.json']


def test_what_a_link_names_stays_as_it_is(tmp_path):
  other, path = tmp_path / 'other', tmp_path / 'link.json'
  other.write_text('of somebody else')
  path.symlink_to(other)
  out_file.write_json('--json', str(path), {'a': 1})
  assert other.read_text() == 'of somebody else'
  assert json.loads(path.read_text()) == {'a': 1}


@pytest.mark.timeout(20)
@pytest.mark.parametrize('make', [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_and_not_opened(make, tmp_path):
  make(tmp_path / 'F')
  with pytest.raises(errors.OptionError, match='^--json is .*; it is a file'):
    out_file.check('--json', str(tmp_path / 'F'))
  with pytest.raises(errors.OptionError, match='^--json is .*; it is a file'):
    out_file.write_json('--json', str(tmp_path / 'F'), {})


def test_an_ending_is_one_of_those_given(tmp_path):
  assert out_file.check('--out', f'{tmp_path}/a.PNG', ('.png', '.svg'))
  with pytest.raises(errors.OptionError, match='it ends in .png or .svg'):
    out_file.check('--out', f'{tmp_path}/a.gif', ('.png', '.svg'))
