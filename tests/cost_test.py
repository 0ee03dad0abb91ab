"""The cost model's table, and the figures and assumptions that it takes."""

import dataclasses
import json

import pytest

from worldmodels import errors
from worldmodels.agents.benchmark import cost
from worldmodels.agents.benchmark import cost_model
from worldmodels.agents.benchmark import figures
from worldmodels.agents.benchmark import options
from worldmodels.agents.benchmark.cost_model import Cluster

SLOW_WRITER = Cluster(append_ms=500.0, updates_per_step=0.008)


def measured(cluster):
  return list(
    cost.measure(
      options.Options(options.SIZES['tiny'], 1, *[None] * 3, cluster=cluster)
    )
  )


def test_it_says_what_breaks_first():
  lines = measured(SLOW_WRITER)
  breaks = [line for line in lines if line['unit'] == 'collectors']
  first = next(line for line in breaks if line['what'].startswith('1 learner:'))
  assert 'directory' in first['what']
  # An episode takes 500 ms to write, and its cycle so and so long.
  alone = SLOW_WRITER.limits(1, 1)['collectors'] / SLOW_WRITER.episode_steps
  assert first['value'] == int(2.0 / alone) + 1
  together = {
    line['what'].partition(':')[0]: line
    for line in lines
    if line['unit'] == 'agent steps/s'
  }
  assert set(together) == {
    f'{count}, {who}'
    for count in ('1 collector', '4 collectors')
    for who in ('1 learner', '2 learners', 'learners that follow')
  }
  assert together['1 collector, 1 learner']['linear'] == pytest.approx(1, 0.1)
  (line,) = [x for k, x in together.items() if k == '4 collectors, 1 learner']
  assert line['value'] == pytest.approx(line['bound'], rel=0.1)
  assert json.loads(json.dumps(lines, allow_nan=False)) == lines


def test_every_resource_has_words():
  assert set(Cluster().limits(8, 2)) == set(cost_model.RESOURCES)


def test_learners_that_follow_are_not_the_limit():
  slow = Cluster(update_ms=1e4)
  assert slow.bound(1000, 1)[0] == 'limiter'
  assert cost._following(slow).bound(1000, 1)[0] != 'limiter'


def test_measured_figures_are_taken_and_assumptions_count_more(tmp_path):
  line = figures.figure('C', 'an episode', 2e6, 'bytes')
  path = tmp_path / 'figures.json'
  path.write_text(
    json.dumps(
      {
        'machine': 'x',
        'figures': [
          {**line, cost.FEEDS: 'episode_bytes'},
          {**line, cost.FEEDS: 'take_ms', 'value': 3.0},
          figures.figure('W1', 'other', 1.0, 'ms'),
        ],
      }
    )
  )
  cluster = cost.cluster_of(str(path), ['take_ms=0', 'ahead=2'])
  assert cluster == dataclasses.replace(
    Cluster(), episode_bytes=2e6, take_ms=0.0, ahead=2
  )
  assert isinstance(cluster.ahead, int)
  path.write_text('{"append_ms": 7}')
  assert cost.cluster_of(str(path), []).append_ms == 7
  assert cost.cluster_of(None, []) == Cluster()


@pytest.mark.parametrize(
  'text,message',
  [
    ('', 'no JSON'),
    ('[1]', 'no object of figures'),
    ('{"figures": []}', 'no figure for the model'),
    ('{"speed": 1}', "'speed' is no figure of the model"),
    ('{"take_ms": null}', 'take_ms is None; it is a number'),
    ('{"take_ms": [1]}', r'take_ms is \[1\]; it is a number'),
    ('{"take_ms": true}', 'take_ms is True; it is a number'),
    ('{"take_ms": 1' + 400 * '0' + '}', 'it is a number'),
    ('{"take_ms": -1}', 'take_ms is -1; it is at least 0'),
    ('{"take_ms": NaN}', 'it is a number'),
    ('{"update_ms": 0}', 'update_ms is 0; it is more than 0'),
  ],
)
def test_bad_files(text, message, tmp_path):
  path = tmp_path / 'figures.json'
  path.write_text(text)
  with pytest.raises(errors.OptionError, match=message) as raised:
    cost.cluster_of(str(path), [])
  assert '\n' not in str(raised.value)


@pytest.mark.parametrize(
  'assumed,message',
  [
    ('ahead', "--assume has 'ahead'; it is NAME=VALUE"),
    ('ahead=0', 'ahead is 0; it is at least 1'),
    ('ahead=1e9', r'ahead is 1e\+09; it is at most 100'),
    ('per_node=1.5', "per_node is '1.5'; it is a whole number"),
    ('network_gbit=0', 'network_gbit is 0; it is more than 0'),
    ('update_ms=inf', "update_ms is 'inf'; it is a number"),
    ('store_gb=1e-9', 'does not hold one episode'),
    ('fixed_ms=1e9', 'it is a part of update_ms'),
    ('updates_per_step=0.001', 'has to allow an update'),
    ('lead=0.5', 'lead is 0.5; it is at least 1'),
    ('=3', "'' is no figure"),
  ],
)
def test_bad_assumptions(assumed, message):
  with pytest.raises(errors.OptionError, match=message) as raised:
    cost.cluster_of(None, [assumed])
  assert '\n' not in str(raised.value)


def test_bad_flags_are_found_before_the_work(program):
  for flag in ('--measured=/nope', '--assume=x=1'):
    done = program('benchmark', '--work=cost', flag)
    assert done.returncode == 1 and done.stdout == ''
    (line,) = done.stderr.splitlines()
    assert line.startswith('error: ')


def test_the_program_prints_the_table(program, tmp_path):
  written = tmp_path / 'figures.json'
  done = program(
    *('benchmark', '--work=cost', '--sizes=tiny', f'--json={written}'),
    '--assume=append_ms=9000,network_gbit=1',
  )
  assert done.returncode == 0, done.stderr
  assert '4 collectors, 2 learners' in done.stdout
  assert all(
    'directory' in line['what']
    for line in json.loads(written.read_text())['figures']
    if line['what'].startswith('4 collectors, learners that follow')
  )
