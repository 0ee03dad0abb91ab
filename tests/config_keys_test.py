"""What the comments of configs say of keys: types, ranges, notes."""

import math

import pytest

from worldmodels import kinds
from worldmodels.agents.runs import config_keys
from worldmodels.agents.runs.ranges import Choices
from worldmodels.agents.runs.ranges import Interval

PLANNERS = ', '.join(kinds.names('worldmodels.agents.planners', 'plan'))
SOURCE = '''
"""Configs of nobody."""

def first():
  config.task = 'hill'  # of mine
  config.net = config_dict.create(
    units=8,  # [1, 64] of each layer [P]
    rate=1e-3,  # (0, 1]
    decay=0.9,  # [0, 1) of the average
    limit=5,  # [0, inf)
    wide=(1, 2),  # [1, 9] each
    weights=(0.5, 1),  # [0, 2] each
    mix=[0.5, 0.25],
    lags=(3,),
    names=(),  # of vectors
    cell='gru',  # {gru, lstm} which
    side=1,  # {1, 4}
    kind='cem',  # {auto, agents/planners/} who plans
    deep=dict(on=True),
    source=2,  # [P, C]
    **others,
  )


def second():
  config = first()
  config.net.units = 9  # [X]
  config.net.update(
    decay=0.5,  # this one is of experiments
    deep=dict(on=False),  # whether
    made=2 * 8,
  )
  other.units = 3  # [5, 6]
'''


@pytest.fixture(scope='module')
def keys():
  return config_keys.read(SOURCE)


def test_ranges_are_read(keys):
  ranges = {name: key.range for name, key in keys.items() if key.range}
  assert ranges == {
    'net.units': Interval(1, 64, True, True),
    'net.rate': Interval(0, 1, False, True),
    'net.decay': Interval(0, 1, True, False),
    'net.limit': Interval(0, math.inf, True, False),
    'net.wide': Interval(1, 9, True, True),
    'net.weights': Interval(0, 2, True, True),
    'net.cell': Choices(('gru', 'lstm')),
    'net.side': Choices(('1', '4')),
    'net.kind': Choices(('auto', 'agents/planners/')),
  }


def test_types_and_notes_are_read(keys):
  assert keys['task'] == config_keys.Key(str, None, 'of mine')
  assert keys['net.units'].note == 'of each layer [P]'
  assert keys['net.rate'].note == '' and keys['net.rate'].type is float
  assert keys['net.source'].note == '[P, C]'  # No interval.
  assert keys['net.deep.on'] == config_keys.Key(bool, None, 'whether')
  assert keys['net.made'].type is None
  assert 'net.None' not in keys and 'units' not in keys


def test_the_first_place_counts_unless_another_states_a_range(keys):
  assert keys['net.decay'].note == 'of the average'
  mine = config_keys.read(
    'config.net.rate = 1  # [0, 9] mine\nconfig.net.cell = "x"  # mine\n'
  )
  both = config_keys.merge(keys, mine)
  assert both['net.rate'].range == Interval(0, 9, True, True)
  assert both['net.rate'].type is float  # As it was.
  again = config_keys.read("config.net.side = 'left'  # {left, right}")
  assert config_keys.merge(keys, again)['net.side'].problem('left') is None
  assert both['net.cell'] == keys['net.cell']
  assert keys['net.rate'].range == Interval(0, 1, False, True)


@pytest.mark.parametrize(
  'name,value',
  [
    *(('net.units', 1), ('net.units', 64), ('net.rate', 1), ('net.rate', 1e-9)),
    *(('net.decay', 0), ('net.decay', 0.999), ('net.limit', 10**12)),
    *(('net.wide', ()), ('net.wide', (1, 9)), ('net.wide', [3])),
    *(('net.weights', (2, 0.1)), ('net.mix', [1.5, -3]), ('net.lags', (1, 2))),
    *(('net.names', ('a', 'b')), ('net.names', ()), ('net.cell', 'lstm')),
    *(('net.side', 4), ('net.kind', 'auto'), ('net.kind', 'categorical_cem')),
    *(('net.kind', 'my_lab.search:plan'), ('net.deep.on', False)),
    *(('task', 'juggle'), ('net.made', 'anything')),
  ],
)
def test_what_is_right(name, value, keys):
  assert keys[name].problem(value) is None


@pytest.mark.parametrize(
  'name,value,problem',
  [
    ('net.units', 0, 'is 0; it is 1 to 64'),
    ('net.units', 8.0, 'is 8.0; it is a whole number'),
    ('net.units', True, 'is True; it is a whole number'),
    ('net.rate', 0.0, 'is 0.0; it is above 0, at most 1'),
    ('net.rate', math.nan, 'is nan; it is above 0, at most 1'),
    ('net.rate', 'fast', "is 'fast'; it is a number"),
    ('net.rate', False, 'is False; it is a number'),
    ('net.decay', 1, 'is 1; it is 0 to below 1'),
    ('net.limit', -1, 'is -1; it is at least 0'),
    ('net.wide', (1, 10), 'is (1, 10); each part is 1 to 9'),
    ('net.wide', (1, 2.0), 'is (1, 2.0); each part is a whole number, 1 to 9'),
    ('net.wide', 3, 'is 3; it is a tuple'),
    ('net.weights', (2.5,), 'is (2.5,); each part is 0 to 2'),
    ('net.weights', ('a',), "is ('a',); each part is a number, 0 to 2"),
    ('net.mix', ('a',), "is ('a',); each part is a number"),
    ('net.lags', (1.5,), 'is (1.5,); each part is a whole number'),
    ('net.names', (1,), 'is (1,); each part is a name, in quotes'),
    ('net.names', ('',), "is ('',); each part is not empty"),
    ('net.names', ('a', 'a'), "is ('a', 'a'); it has a name twice"),
    ('net.cell', 'rnn', "is 'rnn'; it is one of gru, lstm"),
    ('net.side', 2, 'is 2; it is one of 1, 4'),
    (
      'net.kind',
      'cme',
      f"is 'cme'; it is one of auto, {PLANNERS}, or module:name",
    ),
    ('net.deep.on', 1, 'is 1; it is True or False'),
    ('task', '', "is ''; it is not empty"),
    ('task', 3, 'is 3; it is text'),
  ],
)
def test_what_is_wrong(name, value, problem, keys):
  assert keys[name].problem(value) == problem


def test_infinity_is_in_no_interval():
  assert math.inf not in Interval(0, math.inf, True, False)
  assert str(Interval(0, math.inf, False, False)) == 'above 0'
  assert str(Interval(0, 2, False, False)) == 'above 0, below 2'


def test_help_shows_a_range_as_it_is_written(keys):
  assert str(keys['net.units']) == '[1, 64] of each layer [P]'
  assert str(keys['net.decay']) == '[0, 1) of the average'
  assert str(keys['net.limit']) == '[0, inf)'
  assert str(keys['net.kind']) == (
    f'{{auto, {PLANNERS}, module:name}} who plans'
  )
  assert str(keys['task']) == 'of mine'


def test_a_head_of_another_key_is_like_those_of_ours():
  keys = config_keys.of_package()
  units = config_keys.lookup(keys, 'heads.speed.units')
  assert units.range == keys['heads.reward.units'].range
  kind = config_keys.lookup(keys, 'heads.speed.kind')
  assert kind.problem('none') is None and kind.problem('auto')
  assert config_keys.lookup(keys, 'heads.speed.width_of_mine') is None
  assert config_keys.lookup(keys, 'planner.units') is None
  # Also where the user's file sets it.
  own = config_keys.read('config.heads.speed = dict(scale=1.0)  # mine')
  found = config_keys.lookup(config_keys.merge(keys, own), 'heads.speed.scale')
  assert found.problem(-1.0) == 'is -1.0; it is 0 to 1000000'


def test_the_keys_of_the_package_are_handed_out_as_copies():
  config_keys.of_package().clear()
  assert config_keys.of_package()['train.batch'].type is int
