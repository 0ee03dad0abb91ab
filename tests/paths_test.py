"""Paths as users give them; programs are tried in bad_input_test.py."""

import pathlib

import pytest

from worldmodels import errors
from worldmodels.agents.runs import paths


def test_home_is_expanded_and_all_else_is_kept(monkeypatch):
  monkeypatch.setenv('HOME', '/somewhere')
  for given, meant in (
    ('~/runs/a b', '/somewhere/runs/a b'),
    ('~', '/somewhere'),
    ('runs/~', 'runs/~'),
    ('runs/düne [1]', 'runs/düne [1]'),
    (pathlib.Path('/a'), '/a'),
  ):
    assert paths.expanded('--out', given) == pathlib.Path(meant)


@pytest.mark.parametrize('given', ['', '  ', 'a\0b', '~nobody_of_this_name/a'])
def test_what_is_no_path(given):
  with pytest.raises(errors.OptionError, match='^--out is ') as caught:
    paths.expanded('--out', given)
  assert '\n' not in str(caught.value)
