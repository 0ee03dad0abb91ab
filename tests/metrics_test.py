import json
import os

import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels.agents.runs import events
from worldmodels.agents.runs import metrics
from worldmodels.agents.runs import run_directory
from worldmodels.configs import planet
from worldmodels.data import tfrecord

COUNTERS = dict(env_steps=800, episodes=3, updates=10)


def open_in(path, episodes=9, updates=0, **options):
  directory = run_directory.RunDirectory(path)
  return metrics.Metrics(directory, episodes, updates, **options)


def lines_in(path):
  return [json.loads(x) for x in (path / 'metrics.jsonl').open()]


def line(updates, **values):
  return json.dumps(dict(updates=updates, episodes=updates // 5, **values))


def events_in(path):
  """{(tag, step): value} of every event written."""
  found = {}
  for file in sorted((path / 'events').iterdir()):
    for event in tf.compat.v1.train.summary_iterator(str(file)):
      for value in event.summary.value:
        found[value.tag, event.step] = value
  return found


def test_a_line_is_an_object_of_counters_and_figures(tmp_path):
  written = open_in(tmp_path)
  values = {
    'loss': tf.constant(1.23456789),
    'skipped': np.int32(4),
    'open_loop': np.array([1.0, 2.0000001, np.inf]),
    'returns': [1, 2.5],
    'nothing': float('nan'),
  }
  written.write(COUNTERS, values)
  written.write(COUNTERS | dict(updates=11), {})
  first, second = lines_in(tmp_path)
  assert list(first)[:4] == ['env_steps', 'episodes', 'updates', 'wall_seconds']
  assert first.pop('wall_seconds') < 60
  assert first == COUNTERS | {
    'loss': 1.23457,
    'skipped': 4,
    'open_loop': [1.0, 2.0, None],
    'returns': [1.0, 2.5],
    'nothing': None,
  }
  assert isinstance(first['skipped'], int)
  assert second['updates'] == 11
  # Any reader of JSON can read it: it has no NaN.
  assert 'NaN' not in (tmp_path / 'metrics.jsonl').read_text()


def test_wall_time_goes_on(tmp_path):
  resumed = open_in(tmp_path, wall_seconds=100.0)
  assert 100 <= resumed.wall_seconds < 160
  resumed.write(COUNTERS, {})
  assert 100 <= lines_in(tmp_path)[0]['wall_seconds'] < 160


def test_lines_past_the_checkpoint_are_dropped(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  kept = [line(5, loss=0.1), line(10, loss=0.2)]
  path.write_text('\n'.join([*kept, line(15), line(20)]) + '\n')
  open_in(tmp_path, updates=10).write(COUNTERS | dict(updates=15), {})
  assert path.read_text().splitlines()[:2] == kept
  assert [x['updates'] for x in lines_in(tmp_path)] == [5, 10, 15]
  assert not list(tmp_path.glob('*.tmp'))


@pytest.mark.parametrize('rest', ['{"updates": 10, "lo', '{"upda\n', '\n', '{'])
def test_a_line_cut_short_is_dropped(tmp_path, rest):
  path = tmp_path / 'metrics.jsonl'
  path.write_text(line(5) + '\n' + rest)
  open_in(tmp_path, updates=10).write(COUNTERS, {})
  assert [x['updates'] for x in lines_in(tmp_path)] == [5, 10]


def test_where_nothing_is_dropped_nothing_is_written(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  path.write_text(line(5) + '\n' + line(10) + '\n')
  before = path.stat()
  open_in(tmp_path, updates=10)
  assert path.stat().st_ino == before.st_ino
  assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_the_end_is_found_or_dropped_if_the_run_goes_on(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  assert open_in(tmp_path, episodes=2).end is None
  end = dict(
    last_evaluation_mean=7.0,
    last_evaluation_std=1.0,
    last_evaluation_returns=[6.0, 8.0],
  )
  text = line(5) + '\n' + line(10) + '\n' + line(10, **end) + '\n'
  path.write_text(text)
  found = open_in(tmp_path, episodes=2, updates=10).end
  assert found == {'updates': 10, 'episodes': 2, **end}
  assert path.read_text() == text
  # train.episodes was raised.
  assert open_in(tmp_path, episodes=4, updates=10).end is None
  assert [x['updates'] for x in lines_in(tmp_path)] == [5, 10]
  # The newest checkpoint was damaged.
  path.write_text(text)
  assert open_in(tmp_path, episodes=2, updates=5).end is None
  assert [x['updates'] for x in lines_in(tmp_path)] == [5]


# What is in metrics.jsonl, and what TensorBoard calls it.
TAGS = {
  'return': 'return/return',
  'evaluation_return': 'return/evaluation_return',
  'last_evaluation_mean': 'return/last_evaluation_mean',
  'last_evaluation_std': 'return/last_evaluation_std',
  'loss': 'loss/loss',
  'image_loss': 'loss/image_loss',
  'divergence': 'loss/divergence',
  'gradient_norm': 'loss/gradient_norm',
  'skipped_updates': 'loss/skipped_updates',
  'critic_loss': 'loss/critic_loss',
  'a_figure_of_a_users_learner': 'loss/a_figure_of_a_users_learner',
  'actor_entropy': 'behavior/actor_entropy',
  'imagined_return': 'behavior/imagined_return',
  'return_spread': 'behavior/return_spread',
  'behavior_value_mean': 'behavior/value_mean',
  'update_seconds': 'time/update_seconds',
  'acting_seconds': 'time/acting_seconds',
  'evaluation_seconds': 'time/evaluation_seconds',
}


def test_tensorboard_has_groups_over_env_steps(tmp_path):
  config = planet.get_config('debug')
  written = open_in(tmp_path, config=config)
  written.write(COUNTERS, {key: 0.5 for key in TAGS})
  written.video('open_loop_video', np.zeros([3, 8, 8, 3], np.uint8), 800)
  events = events_in(tmp_path)
  assert {tag for tag, step in events if step == 800} == {
    *TAGS.values(),
    'time/updates',
    'time/wall_seconds',
    'video/open_loop',
  }
  value = {tag: events[tag, 800].tensor for tag in TAGS.values()}
  assert all(tf.make_ndarray(x) == 0.5 for x in value.values())
  assert tf.make_ndarray(events['time/updates', 800].tensor) == 10
  # Nothing is over updates; the config is text.
  assert {step for _, step in events} == {0, 800}
  (text,) = tf.make_ndarray(events['config', 0].tensor).ravel()
  assert b'| dynamics.deter | ' in text and b'| preset | debug |' in text


def test_tensorboard_has_some_steps_of_what_is_by_horizon(tmp_path):
  written = open_in(tmp_path)
  values = {
    'open_loop_policy_image': np.arange(1.0, 21.0),
    'behavior_real_reward': [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    'last_evaluation_returns': [7.0, 8.0, 9.0, 10.0, 11.0, 12.0],
  }
  written.write(COUNTERS, values)
  found = {
    tag: float(tf.make_ndarray(event.tensor))
    for (tag, _), event in events_in(tmp_path).items()
    if not tag.startswith('time/')
  }
  # Returns are by episode: their mean is a curve, they are not.
  assert found == {
    'open_loop/policy_image/01': 1.0,
    'open_loop/policy_image/05': 5.0,
    'open_loop/policy_image/15': 15.0,
    'behavior/real_reward/01': 1.0,
    'behavior/real_reward/05': 5.0,
  }
  assert (
    lines_in(tmp_path)[0]['last_evaluation_returns']
    == values['last_evaluation_returns']
  )


def test_a_run_with_lines_and_events_of_before_goes_on(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  path.write_text(line(5, loss=0.1, return_=2.0) + '\n')
  with tf.summary.create_file_writer(str(tmp_path / 'events')).as_default(5):
    tf.summary.scalar('loss', 0.1)
  written = open_in(tmp_path, updates=5, config=planet.get_config('debug'))
  written.write(COUNTERS, {'loss': 0.5})
  assert [x['updates'] for x in lines_in(tmp_path)] == [5, 10]
  # The curves of before are over updates, under names that are no longer used.
  curves = {tag: step for tag, step in events_in(tmp_path) if 'loss' in tag}
  assert curves == {'loss': 5, 'loss/loss': 800}


def all_events(path):
  """[(tag, step)] of every event of all files."""
  return [
    (value.tag, event.step)
    for file in sorted((path / 'events').iterdir())
    for event in tf.compat.v1.train.summary_iterator(str(file))
    for value in event.summary.value
  ]


def test_no_event_is_there_twice_where_a_run_goes_on(tmp_path):
  """Of the updates after its checkpoint, and of the evaluation among them."""
  config, film = planet.get_config('debug'), np.zeros([3, 8, 8, 3], np.uint8)
  evaluation = {'evaluation_return': 3.0, 'open_loop_policy_image': [1.0]}
  evaluation['open_loop_video'] = film

  def episode(written, number, evaluated):
    steps, updates = 100 * number, 5 * number
    if evaluated:  # Before the episode, so with the counters of the one before.
      before = dict(env_steps=steps - 100, updates=updates - 5)
      written.write(dict(before, episodes=number), evaluation)
    counters = dict(env_steps=steps, updates=updates, episodes=number)
    written.write(counters, {'return': float(number), 'loss': 0.5})

  film_tag = f'{events.FILMS}open_loop'
  first = open_in(tmp_path, config=config)
  for number in (1, 2, 3, 4):
    episode(first, number, evaluated=number in (1, 3))
  whole = sorted(all_events(tmp_path))
  assert (film_tag, 200) in whole and ('config', 0) in whole
  # An evaluation has the counters of the episode before it.
  assert whole.count(('time/updates', 200)) == 2
  # The checkpoint is that of the second episode; then it is stopped again.
  for numbers in ((3,), (3, 4)):
    again = open_in(tmp_path, updates=10, config=config)
    left = all_events(tmp_path)
    assert {step for _, step in left} == {0, 100, 200}
    assert ('return/evaluation_return', 200) not in left
    assert (film_tag, 200) not in left
    assert (film_tag, 0) in left and ('return/return', 200) in left
    assert left.count(('time/updates', 200)) == 1
    for number in numbers:
      episode(again, number, evaluated=number == 3)
  assert sorted(all_events(tmp_path)) == whole
  # Where nothing will be done again, no file changes.
  files = {path: path.stat().st_ino for path in (tmp_path / 'events').iterdir()}
  open_in(tmp_path, updates=20, config=config)
  assert {path: path.stat().st_ino for path in files} == files
  # What was cut short is no reason to lose the rest, nor is a strange file.
  newest = max(files, key=lambda path: path.stat().st_mtime_ns)
  newest.write_bytes(newest.read_bytes()[:-3])
  os.mkfifo(tmp_path / 'events' / 'events.out.tfevents.fifo')
  (tmp_path / 'events' / 'events.out.tfevents.text').write_text('words')
  config.train.episodes += 1
  lines = []
  open_in(tmp_path, updates=10, config=config, log=lines.append)
  os.remove(tmp_path / 'events' / 'events.out.tfevents.fifo')
  os.remove(tmp_path / 'events' / 'events.out.tfevents.text')
  left = all_events(tmp_path)
  assert left.count(('config', 0)) == 2 and not lines  # It is another config.
  assert {step for _, step in left} == {0, 100, 200}


def test_without_events_a_run_goes_on(tmp_path):
  (tmp_path / 'events').write_text('a file, where a folder is wanted')
  lines = []
  written = open_in(tmp_path, log=lines.append)
  for updates in (10, 11):
    written.write(COUNTERS | dict(updates=updates), {'loss': 0.5})
    written.video('dream', np.zeros([3, 8, 8, 3], np.uint8), updates)
  assert [x['updates'] for x in lines_in(tmp_path)] == [10, 11]
  assert len(lines) == 1 and 'no TensorBoard events' in lines[0]


def test_events_that_are_none_are_left_as_they_are(tmp_path):
  path = tmp_path / 'events' / 'events.out.tfevents.1'
  path.parent.mkdir()
  with open(path, 'wb') as file:
    tfrecord.write(file, b'no event')
  before, lines = path.read_bytes(), []
  written = open_in(tmp_path, log=lines.append)
  written.write(COUNTERS, {'loss': 0.5})
  assert len(lines_in(tmp_path)) == 1
  (line,) = lines
  assert line.startswith(f'no TensorBoard events from here on: {path} is dam')
  assert path.read_bytes() == before


def test_a_line_that_cannot_be_written_names_its_file(tmp_path):
  written = open_in(tmp_path)
  (tmp_path / 'metrics.jsonl').mkdir()
  with pytest.raises(OSError) as caught:
    written.write(COUNTERS, {})
  assert caught.value.filename == str(tmp_path / 'metrics.jsonl')


def test_an_evaluation_stays_with_the_episode_that_came_after_it(tmp_path):
  """Its parameters may be those of the checkpoint, and its episode be lost.

  While learning and acting overlap, the episode and the updates after it are
  done again, and so is the evaluation.
  """
  path = tmp_path / 'metrics.jsonl'
  evaluated = dict(evaluation_return=3.0)
  kept = [line(0, **evaluated), line(5, **{'return': 1.0})]
  lost = [line(5, **evaluated), line(10, **{'return': 2.0})]
  for rest in (lost, lost[:1]):
    path.write_text('\n'.join([*kept, *rest]) + '\n')
    open_in(tmp_path, updates=5)
    assert path.read_text().splitlines() == kept
  # Of a version that wrote both into one line.
  old = [line(5, **evaluated, **{'return': 1.0}), line(10, **{'return': 2.0})]
  path.write_text('\n'.join(old) + '\n')
  open_in(tmp_path, updates=10)
  assert path.read_text().splitlines() == old


WRONG = {
  'no object': '[1]',
  'a number': '5',
  'nothing': 'null',
  'no counters': '{}',
  'a text for a number': '{"updates": "10", "episodes": 2}',
  'no episodes': '{"updates": 5}',
  'a negative number': '{"updates": -5, "episodes": 2}',
  'half an end': '{"updates": 5, "episodes": 1, "last_evaluation_mean": 1}',
  'an end of nothing': json.dumps(
    dict(
      updates=5,
      episodes=1,
      last_evaluation_mean=None,
      last_evaluation_std=None,
      last_evaluation_returns=[],
    )
  ),
  'too deep': '[' * 100_000,
}


@pytest.mark.parametrize('name', WRONG)
def test_a_line_of_something_else_is_set_aside(name, tmp_path):
  path, lines = tmp_path / 'metrics.jsonl', []
  text = '\n'.join([line(5), WRONG[name], line(10)]) + '\n'
  path.write_text(text)
  opened = open_in(tmp_path, episodes=1, updates=10, log=lines.append)
  assert opened.end is None
  assert [x['updates'] for x in lines_in(tmp_path)] == [5, 10]
  assert len(lines) == 1 and '1 lines of' in lines[0]
  assert (tmp_path / 'metrics.jsonl.damaged').read_text() == text


def test_a_line_without_its_end_does_not_swallow_the_next(tmp_path):
  (tmp_path / 'metrics.jsonl').write_text(line(5))
  open_in(tmp_path, updates=5).write(COUNTERS, {})
  assert [x['updates'] for x in lines_in(tmp_path)] == [5, 10]


@pytest.mark.timeout(60)
def test_what_is_no_file_of_lines_is_neither_read_nor_written(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  for make, message in (
    (os.mkfifo, 'is a FIFO'),
    (lambda path: path.symlink_to('/dev/zero'), 'is a device'),
    (lambda path: path.touch() or os.truncate(path, 1 << 40), '1024 MB'),
  ):
    make(path)
    with pytest.raises(errors.UserError, match=message) as caught:
      open_in(tmp_path)
    assert '\n' not in str(caught.value)
    path.unlink()


def test_lines_are_on_disk_when_they_are_asked_to_be(tmp_path, monkeypatch):
  synced = []
  monkeypatch.setattr(
    os,
    'fsync',
    lambda file: synced.append(os.readlink(f'/proc/self/fd/{file}')),
  )
  written = open_in(tmp_path)
  written.sync()  # There is nothing yet.
  written.write(COUNTERS, {})
  written.sync()
  assert synced == [str(tmp_path / 'metrics.jsonl'), str(tmp_path)]
