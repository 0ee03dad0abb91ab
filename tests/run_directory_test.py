"""A run is continued by its own config and by no other program meanwhile."""

import dataclasses
import json
import pathlib
import signal
import subprocess
import sys

import pytest

from worldmodels.agents.runs import config_checks
from worldmodels.agents.runs import run_directory
from worldmodels.configs import planet
from worldmodels.spec import Spec

ROOT = pathlib.Path(__file__).parent.parent
SPEC = Spec(actions=2, vectors={'speed': 3})
FILES = ['config.json', 'spec.json', 'versions.json']
START = """
import sys
from tests import run_directory_test
run_directory_test.start(sys.argv[1])
"""


def config(**values):
  made = planet.get_config('debug')
  for key, value in values.items():
    made[key] = value
  return made


def start(path, **values):
  """Does all that a training program does before it trains."""
  directory = run_directory.RunDirectory(path)
  directory.claim(config(**values))
  directory.start(config(**values), SPEC)
  return directory


def claim(path, asked=None):
  run_directory.RunDirectory(path).claim(asked or config())


def test_a_run_is_started_and_continued(tmp_path):
  path = tmp_path / 'a' / 'run'
  directory = start(path)
  assert sorted(x.name for x in path.iterdir()) == FILES
  assert config_checks.flatten(directory.load().to_dict()) == (
    config_checks.flatten(json.loads(json.dumps(config().to_dict())))
  )
  assert directory.spec() == SPEC
  del directory
  start(path)
  versions = json.loads((path / 'versions.json').read_text())
  assert len(versions) == 1 and versions[0]['tensorflow']


def test_claiming_leaves_nothing(tmp_path):
  claim(tmp_path)
  assert not list(tmp_path.iterdir())
  claim(tmp_path, config(task='another'))


def test_another_config_is_refused_with_its_keys(tmp_path):
  start(tmp_path)
  before = (tmp_path / 'config.json').read_bytes()
  asked = config(task='other')
  asked.environment.quality = 'near'
  asked.dynamics.deter = 1
  asked.dynamics.stoch = 2
  with pytest.raises(run_directory.RunError) as caught:
    claim(tmp_path, asked)
  message = str(caught.value)
  assert 'environment.quality: fast here, near asked' in message
  assert 'dynamics.deter: 24 here, 1 asked' in message
  assert 'and 1 more' in message and '\n' not in message
  assert (tmp_path / 'config.json').read_bytes() == before


def test_a_longer_run_is_the_same_run(tmp_path):
  start(tmp_path)
  asked = config()
  asked.train.episodes = 77
  directory = run_directory.RunDirectory(tmp_path)
  directory.claim(asked)
  directory.start(asked, SPEC)
  assert directory.load().train.episodes == 77


def test_one_program_at_a_time(tmp_path):
  first = start(tmp_path)
  first.claim(config())
  with pytest.raises(run_directory.RunError, match='another program'):
    claim(tmp_path)
  assert run_directory.RunDirectory(tmp_path).load().task  # To read is free.
  del first  # As the end of its process would.
  claim(tmp_path)


@pytest.mark.parametrize('name', ['thesis.tex', 'thesis.tmp', 'spec.json'])
def test_a_directory_of_something_else_is_left_alone(tmp_path, name):
  (tmp_path / name).write_text('years of work')
  with pytest.raises(run_directory.RunError, match='not a run'):
    claim(tmp_path)
  assert [path.name for path in tmp_path.iterdir()] == [name]
  assert (tmp_path / name).read_text() == 'years of work'


@pytest.mark.parametrize(
  'content, message',
  [
    (b'{"agent": ', 'damaged'),
    (b'\xff\xfe\0', 'damaged'),
    (b'[1]', 'no config of a run'),
    (b'{"architectures": ["Gpt"]}', "no key 'agent'"),
  ],
)
def test_a_config_that_is_none(tmp_path, content, message):
  (tmp_path / 'config.json').write_bytes(content)
  with pytest.raises(run_directory.RunError, match=message):
    run_directory.RunDirectory(tmp_path).load()
  with pytest.raises(run_directory.RunError, match=message):
    claim(tmp_path)


# A run of before there were kinds of dynamics: what matters of its files.
OLD_CONFIG = {
  **dict.fromkeys(run_directory.GROUPS, {}),
  'agent': 'planet',
  'task': 'hill',
  'rssm': {'kind': 'rssm', 'deter': 200},
}


@pytest.mark.parametrize(
  'versions,commit',
  [
    ([{'commit': 'aaaa111'}, {'commit': 'bbbb222'}], 'bbbb222'),
    ([{'commit': None}], 'unknown'),  # Not of a checkout.
    ([], 'unknown'),
    ({}, 'unknown'),
    (None, 'unknown'),
  ],
)
def test_a_run_of_an_earlier_version_is_refused_with_its_commit(
  tmp_path, versions, commit
):
  (tmp_path / 'config.json').write_text(json.dumps(OLD_CONFIG))
  if versions is not None:
    (tmp_path / 'versions.json').write_text(json.dumps(versions))
  before = {path: path.read_bytes() for path in tmp_path.iterdir()}
  directory = run_directory.RunDirectory(tmp_path)
  for opened in (directory.load, lambda: claim(tmp_path)):
    with pytest.raises(run_directory.RunError) as caught:
      opened()
    message = str(caught.value)
    assert 'earlier version' in message and "group 'rssm'" in message
    assert f'(commit {commit})' in message and '\n' not in message
  assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_no_run(tmp_path):
  for path in (tmp_path, tmp_path / 'none', pathlib.Path(__file__) / 'below'):
    with pytest.raises(run_directory.RunError, match='not a run'):
      run_directory.RunDirectory(path).load()


def test_a_run_without_its_spec(tmp_path):
  """Its first start was killed: the next one writes it."""
  start(tmp_path)
  (tmp_path / 'spec.json').unlink()
  with pytest.raises(run_directory.RunError, match='no spec.json'):
    run_directory.RunDirectory(tmp_path).spec()
  assert start(tmp_path).spec() == SPEC


@pytest.mark.parametrize(
  'content,message',
  [
    (b'{"actions": ', 'spec.json is damaged'),
    (b'\xff\xfe\0', 'spec.json is damaged'),
    (b'[1]', 'spec.json is damaged: a spec is an object, not list'),
    (b'{"actions": 1}', "spec.json is damaged: the spec lacks key 'discrete'"),
  ],
)
def test_a_spec_that_is_damaged(tmp_path, content, message):
  start(tmp_path)
  (tmp_path / 'spec.json').write_bytes(content)
  directory = run_directory.RunDirectory(tmp_path)
  directory.claim(config())
  for used in (
    directory.spec,
    lambda: directory.check_spec(SPEC),
    lambda: directory.start(config(), SPEC),
  ):
    with pytest.raises(run_directory.RunError, match=message) as caught:
      used()
    assert '\n' not in str(caught.value)
  assert (tmp_path / 'spec.json').read_bytes() == content


@pytest.mark.parametrize(
  'values,message',
  [
    (dict(actions=1), 'other actions: 2 here, 1 now'),
    (dict(discrete=True), 'other discrete: False here, True now'),
    (dict(image=(32, 64, 3)), r'other image: \(64, 64, 3\) here, \(32, '),
    (dict(image=None), r'other image: \(64, 64, 3\) here, None now'),
    (dict(vectors={}), "other vectors: {'speed': 3} here, {} now"),
    (dict(vectors={'speed': 2}), "other vectors: .*, {'speed': 2} now"),
  ],
)
def test_a_task_that_has_changed_is_refused(tmp_path, values, message):
  start(tmp_path)
  before = {path: path.read_bytes() for path in tmp_path.iterdir()}
  directory = run_directory.RunDirectory(tmp_path)
  directory.claim(config())
  changed = dataclasses.replace(SPEC, **values)
  longer = config()
  longer.train.episodes = 77
  for used in (
    lambda: directory.check_spec(changed),
    lambda: directory.start(longer, changed),
  ):
    with pytest.raises(run_directory.RunError, match=message) as caught:
      used()
    assert '\n' not in str(caught.value)
  directory.check_spec(SPEC)
  assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_damaged_versions_do_not_matter(tmp_path):
  start(tmp_path)
  (tmp_path / 'versions.json').write_text('{"tens')
  start(tmp_path)
  assert len(json.loads((tmp_path / 'versions.json').read_text())) == 1


def test_a_kill_at_any_step_of_the_start_can_be_continued(tmp_path):
  for count in range(1, 99):
    path = tmp_path / str(count)
    done = subprocess.run(
      [
        *(sys.executable, '-m', 'tests.kill_points'),
        *(path, '', str(count), '0', '-c', START, path),
      ],
      cwd=ROOT,
      check=False,
    )
    start(path)
    assert sorted(x.name for x in path.iterdir()) == FILES
    if done.returncode == 0:
      break
    assert done.returncode == -signal.SIGKILL
  assert count > 8
