import json

import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents.runs import metrics
from worldmodels.agents.runs import run_directory

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
  end = dict(last_evaluation_mean=7.0)
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


def test_tensorboard_has_the_scalars_and_the_video(tmp_path):
  written = open_in(tmp_path)
  errors = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
  values = {'loss': 0.5, 'open_loop': errors, 'return': np.float32(3)}
  written.write(COUNTERS, values)
  written.video('dream', np.zeros([3, 8, 8, 3], np.uint8), 10)
  events = events_in(tmp_path)
  assert {tag for tag, _ in events} >= {'loss', 'return'}
  # Of a list by horizon the first and the fifth step; it has no fifteenth.
  curves = {tag: x for (tag, _), x in events.items() if 'open_loop' in tag}
  assert {tag: tf.make_ndarray(x.tensor) for tag, x in curves.items()} == {
    'open_loop/1': 1.0,
    'open_loop/5': 5.0,
  }
  assert tf.make_ndarray(events['loss', 10].tensor) == 0.5
  assert any('dream' in tag and step == 10 for tag, step in events)


def test_without_events_a_run_goes_on(tmp_path):
  (tmp_path / 'events').write_text('a file, where a folder is wanted')
  lines = []
  written = open_in(tmp_path, log=lines.append)
  for updates in (10, 11):
    written.write(COUNTERS | dict(updates=updates), {'loss': 0.5})
    written.video('dream', np.zeros([3, 8, 8, 3], np.uint8), updates)
  assert [x['updates'] for x in lines_in(tmp_path)] == [10, 11]
  assert len(lines) == 1 and 'no TensorBoard events' in lines[0]


def test_a_line_that_cannot_be_written_names_its_file(tmp_path):
  written = open_in(tmp_path)
  (tmp_path / 'metrics.jsonl').mkdir()
  with pytest.raises(OSError) as caught:
    written.write(COUNTERS, {})
  assert caught.value.filename == str(tmp_path / 'metrics.jsonl')
