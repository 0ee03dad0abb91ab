"""What a report reads of runs, whatever of them is there."""

import json
import os

import pytest

from worldmodels.agents.reports import records
from worldmodels.data import reading

CONFIG = {
  'task': 'hill',
  'agent': {'kind': 'planet'},
  'preset': 'small',
  'seed': 3,
  'train': {'seed_episodes': 2},
  'evaluate': {'episodes': 2},
}


def line(env_steps, **figures):
  return dict(
    env_steps=env_steps,
    episodes=env_steps // 50,
    updates=env_steps // 5,
    wall_seconds=float(env_steps),
    **figures,
  )


def write(path, lines=(), config=CONFIG, end='\n'):
  """A directory of a run with these lines."""
  path.mkdir(parents=True)
  text = '\n'.join(json.dumps(x) for x in lines)
  (path / 'metrics.jsonl').write_text(text + end if lines else '')
  if config is not None:
    (path / 'config.json').write_text(json.dumps(config))
  return path


def test_reads_a_run(tmp_path):
  lines = [line(100, **{'return': 3.0}), line(150, evaluation_return=5)]
  write(tmp_path / 'run', lines)
  (record,) = records.read([str(tmp_path / 'run')])
  assert (record.label, record.task) == ('run', 'hill')
  assert (record.kind, record.seed) == ('planet:small', '3')
  assert record.curve('return') == lines[:1] and not record.notes
  assert record.score() == (5, None, 2, 'newest evaluation')


def test_scores_by_evaluate_before_the_end_of_the_run(tmp_path):
  end = dict(last_evaluation_mean=7.0, last_evaluation_std=1.0)
  end['last_evaluation_returns'] = [6.0, 8.0]
  path = write(tmp_path / 'run', [line(100, **end)])
  (record,) = records.read([str(path)])
  assert record.score() == (7.0, 1.0, 2, 'end of the run')
  (path / 'evaluation.json').write_text('{"mean": 9, "returns": [9, 9, 9]}')
  (record,) = records.read([str(path)])
  assert record.score() == (9.0, None, 3, 'evaluate')


def test_finds_runs_below_and_no_run_twice(tmp_path):
  for name in ('a/run', 'b/run'):
    write(tmp_path / name, [line(100)])
  found = records.read([str(tmp_path / 'a'), str(tmp_path / 'b/run')])
  assert [record.label for record in found] == ['a/run', 'b/run']
  again = records.read([str(tmp_path / 'a'), str(tmp_path / 'a/../a/run')])
  assert len(again) == 1


def test_a_file_of_figures_is_a_record(tmp_path):
  path = write(tmp_path / 'run', [line(100)])
  (path / 'other.jsonl').write_text(json.dumps(line(50)))
  (path / 'other_evaluation.json').write_text('{"mean": 4}')
  found = records.read([str(path), str(path / 'other.jsonl')])
  assert [record.label for record in found] == ['run', 'run/other']
  assert found[1].seed == '' and 'may differ' in found[1].notes[0]
  assert found[1].score()[0] == 4


@pytest.mark.parametrize(
  'agent, kind',
  [('planet', 'planet:cpu'), (None, 'None:cpu'), ([], '[]:cpu')],
)
def test_configs_of_earlier_versions_and_of_nobody(agent, kind, tmp_path):
  config = {'agent': agent, 'preset': 'cpu', 'train': 3, 'evaluate': []}
  path = write(tmp_path / 'run', [line(1, evaluation_return=2.0)], config)
  (record,) = records.read([str(path)])
  assert (record.kind, record.task) == (kind, 'unknown task')
  assert record.score() == (2.0, None, 0, 'newest evaluation')


def test_a_preset_that_names_its_file_is_called_so(tmp_path):
  config = {'agent': {'kind': 'planet'}, 'preset': 'pets:small'}
  path = write(tmp_path / 'run', [line(1, evaluation_return=2.0)], config)
  (record,) = records.read([str(path)])
  assert record.kind == 'pets:small'


def test_damaged_lines_are_left_out_and_counted(tmp_path):
  path = write(tmp_path / 'run', [line(100)])
  with open(path / 'metrics.jsonl', 'ab') as file:
    file.write(b'\xff\xfe\n[1]\n{"env_steps": -1}\n')
    file.write(json.dumps(line(200, **{'return': None})).encode() + b'\n')
    file.write(b'{"env_steps": 3, "epi')  # A kill.
  (record,) = records.read([str(path)])
  assert [x['env_steps'] for x in record.lines] == [100, 200]
  assert not record.curve('return')
  assert record.notes == [
    '3 of 6 lines of metrics.jsonl are damaged and left out'
  ]


@pytest.mark.parametrize('name', ['config.json', 'versions.json'])
@pytest.mark.parametrize('content', [b'{', b'3', os.mkfifo])
def test_what_else_is_damaged_is_noted(name, content, tmp_path):
  path = write(tmp_path / 'run', [line(100)])
  (path / name).unlink(missing_ok=True)
  if callable(content):
    content(path / name)
  else:
    (path / name).write_bytes(content)
  (record,) = records.read([str(path)])
  assert name in record.notes[0] and len(record.lines) == 1


def test_a_run_that_has_just_begun(tmp_path):
  path = write(tmp_path / 'run')
  (record,) = records.read([str(path)])
  assert record.notes == ['there are no figures yet'] and not record.score()
  (path / 'metrics.jsonl').unlink()
  (record,) = records.read([str(path)])
  assert record.notes == ['there are no figures yet']


def test_what_is_no_run(tmp_path):
  (tmp_path / 'thesis').mkdir()
  (tmp_path / 'thesis' / 'text').write_text('words')
  for name in ('gone', 'thesis'):
    with pytest.raises(records.RecordError, match=f'{name}'):
      records.read([str(tmp_path / name)])
  with pytest.raises(records.RecordError, match='no line that a run has'):
    records.read([str(tmp_path / 'thesis' / 'text')])
  path = write(tmp_path / 'run')
  (path / 'metrics.jsonl').write_text('words\n')
  with pytest.raises(records.RecordError, match='no line that a run has'):
    records.read([str(path)])
  (path / 'metrics.jsonl').unlink()
  os.mkfifo(path / 'metrics.jsonl')
  with pytest.raises(reading.FileError, match='FIFO'):
    records.read([str(path)])
