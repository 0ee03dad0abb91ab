"""A run is continued by its own config and by no other program meanwhile."""

import json
import pathlib
import runpy
import signal
import subprocess
import sys

import pytest

from agents.run import run_directory

ROOT = pathlib.Path(__file__).parent.parent
START = """
import sys
from tests import run_directory_test
run_directory_test.start(sys.argv[1])
"""


def config(**values):
  made = runpy.run_path(str(ROOT / 'configs/planet.py'))['get_config']('debug')
  for key, value in values.items():
    made[key] = value
  return made


def start(path, **values):
  """Does all that a training program does before it trains."""
  directory = run_directory.RunDirectory(path)
  directory.claim(config(**values))
  directory.start(config(**values))
  return directory


def claim(path, asked=None):
  run_directory.RunDirectory(path).claim(asked or config())


def test_a_run_is_started_and_continued(tmp_path):
  path = tmp_path / 'a' / 'run'
  directory = start(path)
  assert sorted(x.name for x in path.iterdir()) == [
    'config.json', 'versions.json']
  assert run_directory.flatten(directory.load().to_dict()) == (
    run_directory.flatten(json.loads(json.dumps(config().to_dict()))))
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
  asked.rssm.deter = 1
  asked.rssm.stoch = 2
  with pytest.raises(run_directory.RunError) as caught:
    claim(tmp_path, asked)
  message = str(caught.value)
  assert 'environment.quality: fast here, near asked' in message
  assert 'rssm.deter: 24 here, 1 asked' in message
  assert 'and 1 more' in message and '\n' not in message
  assert (tmp_path / 'config.json').read_bytes() == before


def test_a_longer_run_is_the_same_run(tmp_path):
  start(tmp_path)
  asked = config()
  asked.train.episodes = 77
  directory = run_directory.RunDirectory(tmp_path)
  directory.claim(asked)
  directory.start(asked)
  assert directory.load().train.episodes == 77


def test_one_program_at_a_time(tmp_path):
  first = start(tmp_path)
  first.claim(config())
  with pytest.raises(run_directory.RunError, match='another program'):
    claim(tmp_path)
  assert run_directory.RunDirectory(tmp_path).load().task  # To read is free.
  del first  # As the end of its process would.
  claim(tmp_path)


def test_a_directory_of_something_else_is_left_alone(tmp_path):
  (tmp_path / 'thesis.tex').write_text('years of work')
  with pytest.raises(run_directory.RunError, match='not a run'):
    claim(tmp_path)
  assert [path.name for path in tmp_path.iterdir()] == ['thesis.tex']


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


def test_no_run(tmp_path):
  for path in (tmp_path, tmp_path / 'none', pathlib.Path(__file__) / 'below'):
    with pytest.raises(run_directory.RunError, match='not a run'):
      run_directory.RunDirectory(path).load()


def test_damaged_versions_do_not_matter(tmp_path):
  start(tmp_path)
  (tmp_path / 'versions.json').write_text('{"tens')
  start(tmp_path)
  assert len(json.loads((tmp_path / 'versions.json').read_text())) == 1


def test_a_kill_at_any_step_of_the_start_can_be_continued(tmp_path):
  for count in range(1, 99):
    path = tmp_path / str(count)
    done = subprocess.run(
      [sys.executable, '-m', 'tests.kill_points', path, '', str(count), '0',
       '-c', START, path], cwd=ROOT, check=False)
    start(path)
    assert sorted(x.name for x in path.iterdir()) == [
      'config.json', 'versions.json']
    if done.returncode == 0:
      break
    assert done.returncode == -signal.SIGKILL
  assert count > 6
