"""The table of scores: a row for each evaluation of each run."""

import csv
import io
import json

import pytest

from worldmodels import errors
from worldmodels.agents.reports import chart
from worldmodels.agents.reports import figures
from worldmodels.agents.reports import groups
from worldmodels.agents.reports import picture
from worldmodels.agents.reports import published
from worldmodels.agents.reports import records
from worldmodels.agents.reports import scores

START = {'machine': 'a machine', 'cores': 2, 'commit': 'aaaa'}
CONFIG = {
  'task': 'hill',
  'agent': {'kind': 'planet'},
  'preset': 'small',
  'seed': 0,
  'train': {'episodes': 3},
  'evaluate': {'episodes': 2},
}


def line(env_steps, **found):
  counters = dict(episodes=env_steps // 50, updates=env_steps // 5)
  return dict(
    counters, env_steps=env_steps, wall_seconds=2 * env_steps, **found
  )


END = line(
  *(150,),
  last_evaluation_mean=7.0,
  last_evaluation_std=1.0,
  last_evaluation_returns=[6.0, 8.0],
)
LINES = [line(60, evaluation_return=1.5), line(90, **{'return': 9.0}), END]


def run(path, seed=0, versions=(START,), lines=LINES, **config):
  path.mkdir(parents=True)
  config = {**CONFIG, 'seed': seed, **config}
  (path / 'config.json').write_text(json.dumps(config))
  (path / 'versions.json').write_text(json.dumps(versions))
  text = ''.join(json.dumps(x) + '\n' for x in lines)
  (path / 'metrics.jsonl').write_text(text)
  return path


def rows(*paths):
  text = scores.table(records.read([*map(str, paths)])).decode()
  return list(csv.DictReader(io.StringIO(text)))


def test_every_evaluation_has_a_row(tmp_path):
  path = run(tmp_path / 'run')
  evaluation = dict(checkpoint=30, mean=8.5, std=0.5, returns=[8.0, 9.0, 8.5])
  (path / 'evaluation.json').write_text(json.dumps(evaluation))
  found = rows(path)
  assert list(found[0])[:9] == [
    *('task', 'agent', 'seed', 'env_steps', 'minutes', 'return'),
    *('machine', 'cores', 'commit'),
  ]
  assert [list(row.values())[:9] for row in found] == [
    ['hill', 'planet:small', '0', steps, minutes, value, 'a machine', '2']
    + ['aaaa']
    for steps, minutes, value in (
      ('60', '2.000', '1.5'),
      ('150', '5.000', '7'),
      ('150', '5.000', '8.5'),
    )
  ]
  told = [(x['point'], x['std'], x['episodes'], x['updates']) for x in found]
  assert told == [
    ('during', '', '2', '12'),
    ('end', '1', '2', '30'),
    ('evaluate', '0.5', '3', '30'),
  ]


def test_bad_seeds_stay_and_are_in_order(tmp_path):
  bad = [line(60, evaluation_return=-3.0)]
  for seed in (10, 2, 1):
    run(tmp_path / 'runs' / f'seed_{seed}', seed, lines=bad)
  (tmp_path / 'runs' / 'seed_2' / 'metrics.jsonl').unlink()
  found = rows(tmp_path / 'runs')
  assert [x['seed'] for x in found] == ['1', '10']
  assert [x['return'] for x in found] == ['-3', '-3']


def test_a_run_that_was_moved_says_so(tmp_path):
  other = dict(START, cores=8, commit='bbbb', uncommitted_changes=True)
  path = run(tmp_path / 'run', versions=[START, other, START])
  (first, *_) = rows(path)
  assert first['cores'] == '2 + 8' and first['commit'] == 'aaaa + bbbb-dirty'
  assert first['machine'] == 'a machine'
  wheel = {'worldmodels-tf': '0.1.0', 'commit': None}
  installed = run(tmp_path / 'wheel', versions=[START, wheel])
  assert rows(installed)[0]['commit'] == 'aaaa + worldmodels-tf 0.1.0'
  old = run(tmp_path / 'old', versions=[{'numpy': '2', 'commit': None}])
  assert rows(old)[0]['machine'] == rows(old)[0]['commit'] == ''


@pytest.mark.parametrize(
  'evaluation', [{}, {'mean': 'high'}, {'mean': 3, 'checkpoint': -1}]
)
def test_what_is_no_evaluation_or_of_no_known_place(evaluation, tmp_path):
  path = run(tmp_path / 'run')
  (path / 'evaluation.json').write_text(json.dumps(evaluation))
  found = rows(path)[2:]
  assert [(x['return'], x['env_steps']) for x in found] == (
    [('3', '')] if evaluation.get('mean') == 3 else []
  )


def test_a_single_file_may_have_its_own_config_and_versions(tmp_path):
  path = run(tmp_path / 'run')
  (path / 'seed_1.jsonl').write_text(json.dumps(END) + '\n')
  assert rows(path / 'seed_1.jsonl')[0]['seed'] == ''
  config = dict(CONFIG, seed=1, train={'episodes': 2})
  (path / 'seed_1_config.json').write_text(json.dumps(config))
  (path / 'seed_1_versions.json').write_text(json.dumps([{'commit': 'cc'}]))
  (row,) = rows(path / 'seed_1.jsonl')
  assert (row['seed'], row['commit'], row['machine']) == ('1', 'cc', '')
  # Runs that differ in seed and length alone are one group.
  both = records.read([str(path), str(path / 'seed_1.jsonl')])
  assert len(groups.groups(both)) == 1
  both[1].config['evaluate'] = {}
  assert len(groups.groups(both)) == 2


def test_runs_are_found_three_folders_down_but_not_inside_a_run(tmp_path):
  deep = run(tmp_path / 'a' / 'b' / 'c')
  run(deep / 'inside')
  run(tmp_path / 'a' / 'b' / 'd' / 'too_deep')
  found = records.read([str(tmp_path)])
  assert [record.path for record in found] == [deep]


# ---------------------------------------------------------------- pictures ---


def test_a_picture_has_as_many_charts_side_by_side_as_is_asked(
  tmp_path, monkeypatch
):
  for task in ('hill', 'juggle', 'other'):
    run(tmp_path / task, task=task)
  found = records.read([str(tmp_path)])
  for columns, width in ((0, 1120), (1, 560), (4, 2240)):
    content, count = picture.draw(
      found, {}, '.svg', ('return', 'minutes'), columns
    )
    assert count == 6 and f'viewBox="0 0 {width} '.encode() in content
  monkeypatch.setattr(picture, '_MOST', 1000)
  with pytest.raises(errors.OptionError, match='too many for one picture'):
    picture.draw(found, {}, '.png')


def test_beside_minutes_stands_the_best_that_was_published(tmp_path):
  """After as many frames as ours; nobody has published minutes."""
  lines = [line(50_000, evaluation_return=100.0)]
  run(tmp_path / 'run', task='cartpole_swingup', lines=lines)
  found = records.read([str(tmp_path)])
  _, minutes = figures.charts(
    'cartpole_swingup', found, (), ('return', 'minutes')
  )
  (best,) = [one for one in minutes.series if 'published' in one.name]
  assert best.name == 'DreamerV3 after 50k frames (best published)'
  assert [y for _, y in best.points] == [306.4, 306.4]
  assert best.points[0][0] == 0 and best.points[1][0] == minutes.right
  # Those who stopped before are named with where they did.
  lines = [line(90_000_000, evaluation_return=100.0)]
  run(tmp_path / 'long', task='cartpole_swingup', lines=lines)
  found = records.read([str(tmp_path / 'long')])
  _, minutes = figures.charts(
    'cartpole_swingup', found, (), ('return', 'minutes')
  )
  (best,) = [one for one in minutes.series if 'published' in one.name]
  places = published.curves('cartpole_swingup').values()
  assert '90M' not in best.name
  assert any(
    f'after {chart.number(x[-1].env_steps)} ' in best.name for x in places
  )
