"""The table of planners at the same time for each action."""

import json

import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels.agents.benchmark import planners
from worldmodels.agents.benchmark.planners import Row
from worldmodels.agents.programs import compare
from worldmodels.agents.runs import build
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.configs import dreamer
from worldmodels.configs import planet
from worldmodels.problem import Plan
from worldmodels.spec import Spec

SPEC = Spec(actions=2)


def test_a_planner_has_the_options_of_its_paper_and_these_candidates():
  config = planet.get_config('cpu')
  before = config.to_json()
  made = planners.planned(config, 'icem', True, 100).planner
  assert (made.kind, made.candidates, made.warm_start) == ('icem', 100, True)
  assert made.elites == 25 and made.iterations == 3 and made.spread == 0.5
  # What is told to all is the run's.
  assert made.horizon == 12 and made.sample is False
  assert config.to_json() == before
  assert planners.planned(config, 'cem', False, 30).planner.elites == 3
  assert planners.planned(config, 'cem', False, 4).planner.elites == 2
  build.agent(
    planners.planned(planet.get_config('debug'), 'mppi', True, 9), SPEC
  )


class Clocked(planners.Comparison):
  """Takes 5 ms for each action and 0.1 for each candidate."""

  def _made(self, config):
    return config.planner.candidates

  def _time(self, agent):
    return 5.0 + 0.1 * agent


class Followed:
  """Plans for 0.3 s at every third step; the others are free."""

  def __init__(self):
    self.now = 0.0

  def initial(self, batch):
    del batch
    return 0

  def policy(self, observation, state, explore, seed):
    del observation, explore, seed
    self.now += 0.0 if state % 3 else 0.3
    return tf.zeros([1, 2]), state + 1


@pytest.mark.parametrize('replan,milliseconds', [(1, 0.0), (3, 100.0)])
def test_a_plan_is_paid_for_by_all_the_steps_that_follow_it(
  monkeypatch, replan, milliseconds
):
  config, agent = planet.get_config('debug'), Followed()
  config.planner.replan = replan
  monkeypatch.setattr(planners.time, 'perf_counter', lambda: agent.now)
  made = planners.Comparison(None, config, SPEC, print)
  assert made._time(agent) == pytest.approx(milliseconds)


@pytest.mark.parametrize('target,count', [(25.0, 200), (5.0, 4), (1e9, 1e6)])
def test_candidates_are_as_many_as_the_time_allows(target, count):
  made = Clocked(None, planet.get_config('debug'), SPEC, print)
  _, candidates, taken = made._agent('cem', False, target)
  assert candidates == pytest.approx(count, abs=1)
  assert taken == 5.0 + 0.1 * candidates
  _, candidates, _ = made._agent('own', True, target)
  assert candidates == 12


@pytest.mark.parametrize(
  'time',
  [
    lambda n: max(13.0, n - 1.0),  # At first some more take no longer.
    lambda n: 13.0 if n < 200 else 80.0 + n,  # A step, which is too high.
    lambda n: 39.0 + n / 1000,
    lambda n: 90.0,
    lambda n: n * (1.1 if n % 2 else 0.9),  # Times are never exact.
  ],
)
def test_what_takes_no_even_time_for_each_is_looked_for(time):
  tried = []

  def timed(count):
    tried.append(count)
    return str(count), time(count)

  made, found, taken = planners._sized(timed, 40.0)
  assert made == str(found) and taken == time(found)
  nearest = min(abs(time(n) - 40.0) for n in range(4, 2000))
  assert abs(taken - 40.0) <= max(2.5, nearest), found
  assert len(tried) <= 8


def still(problem, seed, *, depth=3):
  """A planner of the user's that has no candidates."""
  del seed, depth
  return Plan(problem.start)


def test_a_planner_of_the_users_is_compared_as_it_is():
  names = compare.names_of(['compare_test:still'], False)
  assert names == ['compare_test:still']
  config = planet.get_config('debug')
  made = planners.planned(config, *names, True, 0).planner
  assert made.depth == 3 and made.candidates == 12
  clocked = Clocked(None, config, SPEC, print)
  assert clocked._agent(*names, True, 25.0)[1] == 0


def test_proposals_are_those_of_the_run_where_the_planner_takes_some():
  config = dreamer.get_config('debug')
  config.planner.proposals = 16
  for kind, count in (('compare_test:still', 0), ('icem', 16)):
    made = planners.planned(config, kind, False, 9)
    assert made.planner.proposals == count
  # So a planner that takes none can be made.
  config.acting, config.planner.kind = 'planner', 'compare_test:still'
  config.planner.proposals = -1
  build.agent(config, Spec(actions=6))


def test_an_action_is_timed_with_vectors_and_without_an_image():
  spec = Spec(actions=2, vectors={'speed': 3})
  config = planet.get_config('debug')
  agent = build.agent(config, spec)
  asked = []

  def policy(observation, state, explore, seed):
    asked.append(observation)
    assert not explore and seed.shape == [2]
    return tf.zeros([1, 2]), state

  agent.policy = policy
  made = planners.Comparison(agent, config, spec, print)
  assert 0 < made._time(agent) < 1000
  shapes = {key: tuple(value.shape) for key, value in asked[0].items()}
  assert shapes == {'image': (1, 64, 64, 3), 'speed': (1, 3), 'is_first': (1,)}


def test_the_table_is_one_of_markdown():
  rows = [
    Row('cem', True, 120, 41.6, [1.0, 3.0]),
    Row('own', False, 0, 9, [5.0]),
  ]
  assert planners.table(rows).splitlines()[2:] == [
    '| `cem` | warm | 120 | 42 | 2.0 | 1.0 |',
    '| `own` | cold | 0 | 9 | 5.0 | 0.0 |',
  ]


def test_names_are_of_planners_that_suit_the_task():
  assert 'own' == compare.names_of(None, False)[0]
  assert 'categorical_mppi' in compare.names_of(None, True)
  assert compare.names_of(['cem', 'own'], False) == ['cem', 'own']
  for names, discrete in ((['cme'], False), (['cem'], True)):
    with pytest.raises(
      errors.OptionError, match='^--planners is .c.*one of own'
    ):
      compare.names_of(names, discrete)


def test_who_acts_is_the_planner(tmp_path):
  config = dreamer.get_config('debug')
  directory = RunDirectory(tmp_path)
  assert compare.planning(config, directory).acting == 'planner'
  del config['planner']
  with pytest.raises(errors.UserError, match='without a planner: dreamer'):
    compare.planning(config, directory)


@pytest.mark.timeout(300)
def test_it_compares_on_a_run(debug_run, wheel_program, tmp_path):
  done = wheel_program(
    'compare',
    f'--logdir={debug_run}',
    '--planners=own,random_shooting',
    '--warm_start=yes',
    '--milliseconds=20',
    '--episodes=1',
    f'--json={tmp_path}/table.json',
  )
  assert done.returncode == 0, done.stderr
  lines = done.stdout.splitlines()
  assert [line.split(' | ')[0] for line in lines[2:]] == [
    '| `own`',
    '| `random_shooting`',
  ]
  rows = json.loads((tmp_path / 'table.json').read_text())['rows']
  assert [row['kind'] for row in rows] == ['own', 'random_shooting']
  assert all(0 < row['returns'][0] < 50 for row in rows)
  assert 'random_shooting, warm: ' in done.stderr


def test_wrong_flags_are_named_at_once(debug_run, program):
  done = program('compare', f'--logdir={debug_run}', '--planners=cme')
  assert done.returncode == 1
  assert done.stderr.startswith("error: --planners is 'cme'; it is one of own")
  assert done.stderr.count('\n') == 1
