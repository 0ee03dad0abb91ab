"""With what code a run is made, in a checkout and elsewhere."""

import os
import shutil
import subprocess
import tomllib

import pytest
import wheel_environment

from worldmodels import checkout
from worldmodels.agents.runs import machine
from worldmodels.agents.runs import provenance

ROOT = wheel_environment.ROOT
VERSION = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project'][
  'version'
]

needs_git = pytest.mark.skipif(not shutil.which('git'), reason='needs git')


def git(folder, *arguments):
  """Runs git in a folder; returns what it says."""
  who = ['-c', 'user.name=a', '-c', 'user.email=a@b']
  return wheel_environment.run(
    'git', *who, '-C', folder, *arguments
  ).stdout.strip()


@pytest.fixture
def repository(tmp_path):
  """A repository of somebody's, in which a file has changed."""
  folder = tmp_path / 'mine'
  folder.mkdir()
  git(folder, 'init', '-q')
  (folder / 'mine.py').write_text('')
  git(folder, 'add', '.')
  git(folder, 'commit', '-q', '-m', 'Mine')
  (folder / 'mine.py').write_text('changed')
  return folder


def test_it_says_what_there_is():
  found = provenance.current()
  assert found['worldmodels-tf'] == VERSION
  assert found['machine'] == machine.processor() and found['cores'] >= 1
  assert found['tensorflow'] and found['python'].count('.') == 2
  assert set(provenance.PACKAGES) < set(found)


@needs_git
def test_a_checkout_has_its_commit(repository, monkeypatch):
  monkeypatch.setattr(checkout, 'roots', lambda: [os.path.realpath(repository)])
  found = provenance.current()
  assert found['commit'] == git(repository, 'rev-parse', 'HEAD')
  assert found['uncommitted_changes'] is True
  assert provenance.code_of(found) == f'{found["commit"]}-dirty'
  git(repository, 'checkout', '-q', 'mine.py')
  assert provenance.current()['uncommitted_changes'] is False


@needs_git
@pytest.mark.parametrize('place', ['third_party/ours', None])
def test_the_repository_of_another_has_no_commit_of_this_code(
  place, repository, monkeypatch
):
  """A copy of this code in its own folder there, or an installed one."""
  roots = []
  if place:
    copy = repository / place
    copy.mkdir(parents=True)
    shutil.copy(ROOT / 'pyproject.toml', copy)
    roots = [os.path.realpath(copy)]
  monkeypatch.setattr(checkout, 'roots', lambda: roots)
  # As where a hook of that repository starts it.
  monkeypatch.setenv('GIT_DIR', str(repository / '.git'))
  found = provenance.current()
  assert found['commit'] is None and found['uncommitted_changes'] is False
  if place:
    assert provenance.code_of(found) == f'worldmodels-tf {VERSION}'


def test_without_git_there_is_no_commit(monkeypatch):
  def run(*_, **__):
    raise FileNotFoundError

  monkeypatch.setattr(subprocess, 'run', run)
  found = provenance.current()
  assert found['commit'] is None and found['worldmodels-tf'] == VERSION


@pytest.mark.parametrize(
  'start,code',
  [
    ({'commit': 'abc'}, 'abc'),
    ({'commit': 'abc', 'uncommitted_changes': True}, 'abc-dirty'),
    ({'commit': 'abc', 'worldmodels-tf': '0.1.0'}, 'abc'),
    ({'commit': None, 'worldmodels-tf': '0.1.0'}, 'worldmodels-tf 0.1.0'),
    ({'commit': 'x' * 999}, 'x' * 40),
    ({'commit': None}, None),
    ({}, None),
  ],
)
def test_what_code_a_start_had(start, code):
  assert provenance.code_of(start) == code
