"""A run is continued by its own config and by no other program meanwhile."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from worldmodels import errors
from worldmodels.agents.runs import build
from worldmodels.agents.runs import config_checks
from worldmodels.agents.runs import machine
from worldmodels.agents.runs import run_directory
from worldmodels.agents.runs import stored_config
from worldmodels.configs import dreamer
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
  found = sorted(x.name for x in path.iterdir())
  assert found == sorted([*FILES, 'claim.json'])
  assert config_checks.flatten(directory.load().to_dict()) == (
    config_checks.flatten(json.loads(json.dumps(config().to_dict())))
  )
  assert directory.spec() == SPEC
  del directory
  assert sorted(x.name for x in path.iterdir()) == FILES
  start(path)
  versions = json.loads((path / 'versions.json').read_text())
  assert len(versions) == 1 and versions[0]['tensorflow']
  # What computed, too.
  (found,) = versions
  assert found['machine'] == machine.processor() and found['machine'].strip()
  assert found['cores'] == machine.cores() == len(os.sched_getaffinity(0))


def test_claiming_leaves_nothing(tmp_path):
  claim(tmp_path)
  assert not list(tmp_path.iterdir())
  claim(tmp_path, config(task='another'))


def test_a_directory_that_nothing_was_put_into_is_left(tmp_path):
  directory = run_directory.RunDirectory(tmp_path / 'run')
  directory.claim(config())
  directory.leave()
  assert not (tmp_path / 'run').exists()
  # One that was there before, or that became a run, is not.
  (tmp_path / 'mine').mkdir()
  directory = run_directory.RunDirectory(tmp_path / 'mine')
  directory.claim(config())
  directory.leave()
  start(tmp_path / 'run').leave()
  assert (tmp_path / 'mine').exists()
  assert sorted(x.name for x in (tmp_path / 'run').iterdir()) == FILES


def test_a_run_from_before_a_key_goes_on_as_it_was(tmp_path):
  start(tmp_path)
  stored = json.loads((tmp_path / 'config.json').read_text())
  for group, added in stored_config.ADDED.items():
    for name, value in added.items():
      assert stored[group].pop(name) == value
  assert stored.pop('exploration_color') == 'white'
  assert stored['encoder'].pop('further') == []
  assert stored['encoder'].pop('embeds') == 'both'
  assert stored['heads']['image'].pop('canvas') == []
  assert stored['heads']['image'].pop('draws') == 'both'
  assert stored['heads']['reward'].pop('relative') == 0.0
  (tmp_path / 'config.json').write_text(json.dumps(stored))
  claim(tmp_path)
  loaded = run_directory.RunDirectory(tmp_path).load()
  assert loaded.to_dict() == json.loads(json.dumps(config().to_dict()))
  asked = config()
  asked.environment.step_limit = 70
  with pytest.raises(run_directory.RunError, match='step_limit: 0 here, 70 as'):
    claim(tmp_path, asked)


def test_a_run_goes_on_by_a_preset_of_another_name_and_the_same_values(
  tmp_path,
):
  before, now = config(), config()
  before.preset, now.preset = 'once', 'file:today'
  directory = run_directory.RunDirectory(tmp_path)
  directory.claim(before)
  directory.start(before, Spec(actions=1))
  del directory
  claim(tmp_path, now)
  now.environment.step_limit = 70
  with pytest.raises(
    run_directory.RunError, match='limit: 0 here, 70 asked; p'
  ):
    claim(tmp_path, now)


def test_a_number_that_was_chosen_is_asked_for_by_the_same_command(tmp_path):
  spec = Spec(actions=3)

  def asked(count):
    made = dreamer.get_config('debug')
    made.planner.proposals = count
    return made

  directory = run_directory.RunDirectory(tmp_path)
  directory.claim(asked(-1))
  directory.start(build.chosen(asked(-1), spec), spec)
  del directory
  claim(tmp_path, asked(-1))
  claim(tmp_path, asked(16))
  with pytest.raises(run_directory.RunError, match='proposals: 16 here, 3 ask'):
    claim(tmp_path, asked(3))


def test_kinds_that_were_chosen_are_not_chosen_again(tmp_path):
  """What is asked has `auto`, the run has what that was when it began."""
  directory = run_directory.RunDirectory(tmp_path)
  asked = config()
  directory.claim(asked)
  assert asked.planner.kind == 'auto'
  chosen = build.chosen(asked, Spec(actions=2, discrete=True), True)
  directory.start(chosen, SPEC)
  del directory
  asked = config()
  claim(tmp_path, asked)
  assert asked.planner.kind == 'categorical_cem'
  assert asked.heads.discount.kind == 'bernoulli'
  # What is asked for by name still has to be the same.
  asked = config()
  asked.planner.kind = 'cem'
  with pytest.raises(
    run_directory.RunError,
    match='planner.kind: categorical_cem here, cem asked',
  ):
    claim(tmp_path, asked)


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
  **dict.fromkeys(stored_config.GROUPS, {}),
  'agent': 'planet',
  'task': 'hill',
  'rssm': {'kind': 'rssm', 'deter': 200},
}


@pytest.mark.parametrize(
  'versions,code',
  [
    ([{'commit': 'aaaa111'}, {'commit': 'bbbb222'}], 'commit bbbb222'),
    # Of no checkout: today's have the version of the wheel.
    ([{'commit': None}], 'commit unknown'),
    ([{'commit': None, 'worldmodels-tf': '0.1.0'}], 'worldmodels-tf 0.1.0'),
    ([7], 'commit unknown'),
    ([], 'commit unknown'),
    ({}, 'commit unknown'),
    (None, 'commit unknown'),
  ],
)
def test_a_run_of_an_earlier_version_is_refused_with_its_code(
  tmp_path, versions, code
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
    assert f'({code})' in message and '\n' not in message
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
  (tmp_path / 'claim.json').unlink()  # It is still claimed.
  assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize('text', ['{"tens', '{"commit": 1}', '[7]', '"a"', ''])
def test_damaged_versions_do_not_matter(text, tmp_path):
  start(tmp_path)
  (tmp_path / 'versions.json').write_text(text)
  start(tmp_path)
  assert len(json.loads((tmp_path / 'versions.json').read_text())) == 1
  assert (tmp_path / 'versions.json.damaged').read_text() == text


# ---------------------------------------------------------- files that lie ---


def used(path):
  """Everything that reads the files of a run."""
  directory = run_directory.RunDirectory(path)
  return {
    'config.json': [directory.load, lambda: claim(path)],
    'spec.json': [directory.spec, lambda: directory.check_spec(SPEC)],
  }


@pytest.mark.timeout(20)
@pytest.mark.parametrize('name', ['config.json', 'spec.json'])
def test_what_is_no_regular_file_is_not_opened(name, tmp_path):
  start(tmp_path)
  for make, message in (
    (os.mkfifo, 'is a FIFO, not a regular file'),
    (os.mkdir, 'is a directory, not a regular file'),
    (lambda path: os.symlink('/dev/zero', path), 'is a device, not a regular'),
  ):
    path = tmp_path / name
    path.rmdir() if path.is_dir() else path.unlink()
    make(path)
    for read in used(tmp_path)[name]:
      with pytest.raises(run_directory.RunError, match=message):
        read()


@pytest.mark.parametrize('name', ['config.json', 'spec.json'])
def test_what_is_too_large_or_too_deep_is_not_read(name, tmp_path):
  start(tmp_path)
  path = tmp_path / name
  for content in (b'[' * 200_000, b'{"a":' * 50 + b'1' + b'}' * 50):
    path.write_bytes(content)
    for read in used(tmp_path)[name]:
      with pytest.raises(run_directory.RunError, match=f'{name} is damaged'):
        read()
  os.truncate(path, 1 << 40)  # Without a block on disk.
  for read in used(tmp_path)[name]:
    with pytest.raises(run_directory.RunError, match='is larger than 16 MB'):
      read()


@pytest.mark.parametrize(
  'key,value,message',
  [
    ('train', [], 'config.json: train is \\[\\]; it is a group'),
    ('task', {}, 'config.json: task is {}; it is text'),
    ('train.seed_episodes', None, 'train.seed_episodes is None; it is a whole'),
    ('train.overlap', 1, 'train.overlap is 1; it is True or False'),
    ('evaluate.context', 'many', "evaluate.context is 'many'; it is a whole"),
    (
      'environment.vectors',
      'speed',
      "environment.vectors is 'speed'; it is a tuple",
    ),
    ('heads.image.kind', 3, 'heads.image.kind is 3; it is text'),
    ('evaluate.horizon', 0, 'config.json: evaluate.horizon is 0; it is 1 to'),
    (
      'train.episodes',
      ...,
      "config.json: the config has no key 'train.episodes'$",
    ),
    ('dynamics', ..., "config.json: the config has no group 'dynamics'$"),
    ('a.b', {'c.d': 1}, 'is no config of a run'),
    ('agent.kind', [], 'agent.kind is \\(\\); it is text'),
    ('agent.kind', {}, 'agent.kind is {}; it is text'),
    ('seed', {'a': 1}, "seed is {'a': 1}; it is a whole number"),
    ('task', [['a']], 'task is .*; it is text'),
    ('store.capacity', 'x' * 9999, 'store.capacity is .{,80}; it is a whole'),
    ('train', 'x' * 9999, 'train is .{,80}; it is a group'),
  ],
)
def test_each_value_of_a_config_has_its_type(key, value, message, tmp_path):
  start(tmp_path)
  path = tmp_path / 'config.json'
  stored = json.loads(path.read_text())
  *groups, last = key.split('.')
  part = stored
  for group in groups:
    part = part.setdefault(group, {})
  part[last] = value
  if value is ...:
    del part[last]
  path.write_text(json.dumps(stored))
  for read in used(tmp_path)['config.json']:
    with pytest.raises(run_directory.RunError, match=message) as caught:
      read()
    assert '\n' not in str(caught.value)


def test_a_spec_of_impossible_sizes(tmp_path):
  start(tmp_path)
  for values in (
    dict(actions=10**12),
    dict(image=[10**6, 10**6, 3]),
    dict(vectors={'speed': 10**9}),
  ):
    told = json.dumps(SPEC.to_dict() | values)
    (tmp_path / 'spec.json').write_text(told)
    for read in used(tmp_path)['spec.json']:
      with pytest.raises(run_directory.RunError, match='it has a size of'):
        read()


def test_a_key_that_came_later_is_that_of_before(tmp_path):
  """Runs that were begun without it are continued."""
  start(tmp_path)
  path = tmp_path / 'config.json'
  stored = json.loads(path.read_text())
  del stored['train']['deterministic_ops']
  path.write_text(json.dumps(stored))
  assert run_directory.RunDirectory(
    tmp_path
  ).load().train.deterministic_ops is (False)
  claim(tmp_path)
  asked = config()
  asked.train.deterministic_ops = True
  with pytest.raises(run_directory.RunError, match='deterministic_ops: False'):
    claim(tmp_path, asked)


def test_a_kill_before_the_spec_bars_no_run_of_vectors_alone(tmp_path):
  spec = Spec(actions=1, image=None, vectors={'speed': 3})
  directory = run_directory.RunDirectory(tmp_path)
  directory.claim(config())
  directory.start(build.chosen(config(), spec), spec)
  del directory
  (tmp_path / 'spec.json').unlink()
  again = run_directory.RunDirectory(tmp_path)
  again.claim(config())
  again.start(build.chosen(config(), spec), spec)
  assert again.spec() == spec and 'speed' in again.load().heads
  del again
  other = config()
  other.kl.scale = 7.0
  (tmp_path / 'spec.json').unlink()
  with pytest.raises(run_directory.RunError, match='kl.scale'):
    claim(tmp_path, other)


def test_looking_at_a_run_changes_nothing(tmp_path):
  start(tmp_path)
  (tmp_path / 'config.json.tmp').write_text('what another program writes')
  before = {path: path.stat() for path in [tmp_path, *tmp_path.iterdir()]}
  directory = run_directory.RunDirectory(tmp_path)
  directory.load()
  directory.check_spec(directory.spec())
  after = {path: path.stat() for path in [tmp_path, *tmp_path.iterdir()]}
  assert {path: x.st_mtime_ns for path, x in after.items()} == {
    path: x.st_mtime_ns for path, x in before.items()
  }


# ------------------------------------------------------------------- paths ---


def test_the_home_directory_is_found(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  directory = run_directory.RunDirectory('~/runs/hill')
  assert directory.path == tmp_path / 'runs' / 'hill'
  assert directory.metrics.parent == directory.path


@pytest.mark.parametrize('path', ['', ' ', '~nobody_of_this_name/run', 'a\0b'])
def test_what_is_no_path(path):
  with pytest.raises(errors.UserError, match='--logdir is') as caught:
    run_directory.RunDirectory(path)
  assert '\n' not in str(caught.value)


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
