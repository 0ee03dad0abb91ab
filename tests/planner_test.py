import numpy as np
import pytest
import tensorflow as tf
import worlds

from worldmodels import errors
from worldmodels.agents.planner import Planner
from worldmodels.problem import Plan
from worldmodels.spec import Spec

B, A, H = 3, 2, 4
OPTIONS = dict(horizon=H, sample=False, iterations=8, candidates=200, elites=20)
SEEDS = tf.constant([[1, 2], [3, 4]])

# Reward is had by being near the member's own place.
PLACE = tf.constant([-0.6, 0.1, 0.7])
GOALS = tf.broadcast_to(PLACE[:, None, None], [B, H, A])
WORLD = worlds.Goals(worlds.distance, GOALS)


def plan(made, world=WORLD, **options):
  return made.plan(world, world.start(), SEEDS, **options).actions


GIVEN = []


def keep(problem, seed, *, iterations, depth=3):
  """A planner of the user's: it shows what a planner is given."""
  GIVEN[:] = problem, seed, (iterations, depth)
  return Plan(problem.start)


def keep_few(problem, seed, *, candidates, elites):
  """One that takes elites."""
  del seed, candidates, elites
  return Plan(problem.start)


def test_elites_are_those_of_planners_that_take_them():
  few = OPTIONS | dict(candidates=4)
  for kind in ('planner_test:keep', 'gradient'):
    Planner(WORLD.spec, kind=kind, **few)


def test_it_plans_for_every_member():
  found = plan(Planner(WORLD.spec, kind='cem', **OPTIONS))
  assert found.shape == [B, H, A]
  np.testing.assert_allclose(found, GOALS, atol=0.2)


def test_a_value_counts_after_the_last_step():
  made = Planner(WORLD.spec, kind='cem', value=True, **OPTIONS)
  assert made.value
  found = plan(made, value=lambda state: 100 * state['action'][:, 0])
  assert (found[:, -1, 0] > 0.9).numpy().all()
  np.testing.assert_allclose(found[:, 0, 0], PLACE, atol=0.25)


def test_an_objective_takes_the_place_of_the_reward():
  made = Planner(WORLD.spec, kind='cem', **OPTIONS)
  away = plan(
    made,
    objective=lambda state: -(tf.reduce_sum(state['action'] - 0.5, -1) ** 2),
  )
  np.testing.assert_allclose(tf.reduce_sum(away, -1), 1.0, atol=0.3)


def test_proposals_are_among_the_candidates():
  options = OPTIONS | dict(iterations=1, elites=1, candidates=5, spread=1e-3)
  made = Planner(WORLD.spec, kind='cem', proposals=2, **options)
  assert made.proposals == 2
  best = GOALS[:, None]
  proposals = tf.concat([-best, best], 1)
  found = plan(made, proposals=proposals)
  np.testing.assert_allclose(found, best[:, 0], atol=1e-5)
  assert np.abs(plan(made)).max() < 0.1


@pytest.mark.parametrize(
  'discrete,options,message',
  [
    (False, dict(kind='random'), "^kind is 'random'; it is one of"),
    (True, dict(kind='cem'), "'cem', which does not plan .* discrete actions"),
    (
      False,
      dict(kind='categorical_cem'),
      "does not plan the task's continuous actions",
    ),
    (
      True,
      dict(kind='categorical_cem', proposals=3),
      "^proposals is 3; 'categorical_cem' takes none",
    ),
    (True, dict(kind='planner_test:keep'), 'does not plan .* discrete actions'),
    (False, dict(kind='planner_test:kept'), "has no class or function 'kept'"),
    (
      False,
      dict(kind='planner_test:keep', proposals=16),
      "^proposals is 16; 'planner_test:keep' takes none",
    ),
    (
      False,
      dict(kind='planner_test:keep_few', elites=10, candidates=4),
      r'^elites is 10; it is 1 to candidates \(4\)',
    ),
  ],
)
def test_what_does_not_fit_is_named(discrete, options, message):
  spec = Spec(actions=A, discrete=discrete)
  with pytest.raises(errors.OptionError, match=message):
    Planner(spec, **OPTIONS | options)


def test_proposals_that_are_left_to_the_task_are_those_that_a_planner_takes():
  for kind, count in (('planner_test:keep', 0), ('cem', 16)):
    made = Planner(Spec(actions=6), kind=kind, proposals=-1, **OPTIONS)
    assert made.proposals == count


def test_a_missing_option_is_named_at_once():
  with pytest.raises(
    errors.OptionError,
    match="^iterations is missing; 'planner_test:keep' needs",
  ):
    Planner(WORLD.spec, kind='planner_test:keep', horizon=H, sample=False)


def test_options_that_are_not_given_are_those_of_the_planner():
  made = Planner(WORLD.spec, kind='gradient', horizon=H, sample=False)
  np.testing.assert_allclose(plan(made), GOALS, atol=0.2)


# -------------------------------------------------------------- warm start ----


def test_a_plan_goes_on_from_the_one_before():
  made = Planner(
    WORLD.spec, kind='planner_test:go_on', horizon=3, sample=False,
    warm_start=True,
  )  # fmt: skip
  kept = made.initial(B)
  assert kept['plan'].shape == [B, 3, A]
  np.testing.assert_array_equal(kept['plan'], np.zeros([B, 3, A]))
  first, going = tf.fill([B], True), tf.fill([B], False)
  world = worlds.Goals(worlds.distance, GOALS[:, :3])
  shown = []
  for is_first in (first, going, going, tf.constant([False, True, False])):
    warm = made.warm({'other': 0, **kept}, is_first)
    found = made.plan(world, world.start(), SEEDS, **warm).actions
    kept = made.kept(found)
    shown.append(found[:, :, 0].numpy().tolist())
  # Each step is one more than it was; at the end there is a new one.
  assert shown[0] == [[1, 1, 1]] * B
  assert shown[1] == [[2, 2, 1]] * B
  assert shown[2] == [[3, 2, 1]] * B
  # Only the member that begins anew begins anew.
  assert shown[3] == [[3, 2, 1], [1, 1, 1], [3, 2, 1]]


def go_on(problem, seed):
  """A planner that adds 1 to what it starts from."""
  del seed
  return Plan(problem.start + 1.0)


def test_without_a_warm_start_nothing_is_kept():
  made = Planner(WORLD.spec, kind='cem', **OPTIONS)
  assert made.initial(B) == {} == made.kept(GOALS)
  assert made.warm({}, tf.fill([B], False)) == {}


def test_of_a_plan_of_fewer_steps_the_others_are_nothing():
  made = Planner(WORLD.spec, kind='cem', warm_start=True, **OPTIONS)
  kept = made.kept(tf.ones([B, 1, A]))['plan']
  assert kept.shape == [B, H, A]
  np.testing.assert_array_equal(tf.reduce_sum(kept, [1, 2]), [A] * B)


def test_a_warm_start_is_worth_refits():
  """Where the goal stays, few refits a step come to it from step to step."""
  goals = tf.fill([B, H, A], 0.9)
  world = worlds.Goals(worlds.distance, goals)
  options = OPTIONS | dict(iterations=1, candidates=30, elites=5, spread=0.3)
  off = {}
  for warm_start in (False, True):
    made = Planner(world.spec, kind='cem', warm_start=warm_start, **options)
    kept = made.initial(B)
    for step in range(4):
      warm = made.warm(kept, tf.fill([B], step == 0))
      actions = plan_of(made, world, SEEDS + step, **warm)
      kept = made.kept(actions)
    off[warm_start] = np.abs(actions[:, 0] - 0.9).mean()
  assert off[True] < 0.45 < 0.6 < off[False]


def plan_of(made, world, seeds, **options):
  return made.plan(world, world.start(), seeds, **options).actions


def test_a_planner_is_given_the_options_that_it_names():
  world = worlds.Goals(worlds.product, tf.one_hot([[1] * H] * B, A), True)
  made = Planner(
    world.spec, kind='categorical_cem', spread=1.0, min_std=0.0, **OPTIONS
  )
  np.testing.assert_allclose(tf.reduce_sum(plan(made, world), -1), 1)


@pytest.mark.parametrize('sample', [False, True])
def test_a_planner_of_the_users_is_given_the_problem(sample):
  made = Planner(
    WORLD.spec,
    kind='planner_test:keep',
    gamma=0.5,
    **OPTIONS | dict(sample=sample),
  )
  assert made.horizon == H
  start, seeds = tf.ones([B, H, A]), []

  class World(worlds.Goals):
    def step(self, state, action, seed=None):
      seeds.append(seed)
      return super().step(state, action, seed)

  world = World(worlds.distance, GOALS)
  made.plan(
    world,
    world.start(),
    SEEDS,
    value=lambda state: tf.fill([B], 7.0),
    prior=lambda state: tf.fill([B, A], 3.0),
    start=start,
  )
  problem, seed, options = GIVEN
  assert options == (8, 3)
  np.testing.assert_array_equal(seed, SEEDS[1])
  assert (problem.actions, problem.horizon, problem.discrete) == (A, H, False)
  assert problem.start is start and problem.proposals is None
  np.testing.assert_array_equal(problem.value(problem.state), [7.0] * B)
  np.testing.assert_array_equal(problem.prior(problem.state), [[3.0] * A] * B)
  # States are drawn only if that is asked for, with the first of the seeds.
  found = problem.score(GOALS[:, None])
  assert all((seed is not None) == sample for seed in seeds)
  np.testing.assert_allclose(found, [[7.0 * 0.5**H]] * B)
  if sample:
    fold = tf.random.experimental.stateless_fold_in(SEEDS[0], 0)
    np.testing.assert_array_equal(seeds[0], fold)


def test_a_planner_of_the_users_may_name_the_problem_as_it_likes(
  monkeypatch, tmp_path
):
  (tmp_path / 'my_still.py').write_text(
    'from worldmodels.problem import Plan\n'
    'def plan(task, key, *, depth):\n'
    '  return Plan(task.start)\n'
  )
  monkeypatch.syspath_prepend(tmp_path)
  options = dict(kind='my_still:plan', horizon=2, sample=False)
  Planner(Spec(actions=1), **options, depth=3)
  with pytest.raises(errors.OptionError, match='^depth is missing'):
    Planner(Spec(actions=1), **options)


# ------------------------------------------------------------ open loop ----


def follow(made, firsts, length=None):
  """The actions [steps, B] and how often a plan was made, of so many steps."""
  kept, calls, taken = made.initial(B), [], []
  for number, first in enumerate(firsts):

    def make(**warm):
      calls.append(warm)
      # Of every plan the actions are 10, 11, ... 20, 21, ...
      steps = tf.range(float(made.horizon)) + 10.0 * (number + 1)  # noqa: B023
      return tf.tile(steps[None, :length, None], [B, 1, 1])

    state = {'other': 0, **kept}
    action, kept = made.follow(state, tf.constant(first), make)
    tf.nest.assert_same_structure(kept, made.initial(B))
    taken.append(action[:, 0].numpy().tolist())
  return taken, calls


GOING, ANEW = [False] * B, [True] * B
FOLLOWS = dict(kind='planner_test:go_on', horizon=3, sample=False)


def test_a_plan_is_followed_for_as_long_as_it_is_told():
  made = Planner(WORLD.spec, replan=2, **FOLLOWS)
  taken, _ = follow(made, [ANEW, GOING, GOING, GOING, GOING])
  assert [row[0] for row in taken] == [10, 11, 30, 31, 50]
  # To its end: open loop.
  made = Planner(WORLD.spec, replan=3, **FOLLOWS)
  taken, _ = follow(made, [ANEW, GOING, GOING, GOING])
  assert [row[0] for row in taken] == [10, 11, 12, 40]


def test_a_shorter_plan_is_not_followed_past_its_end():
  made = Planner(WORLD.spec, replan=3, **FOLLOWS)
  taken, calls = follow(made, [ANEW, GOING, GOING, GOING], length=2)
  assert [row[0] for row in taken] == [10, 11, 30, 31] and len(calls) == 2


def test_a_reset_ends_the_plan_of_its_own_member_alone():
  made = Planner(WORLD.spec, replan=3, **FOLLOWS)
  one = [False, True, False]
  taken, calls = follow(made, [ANEW, one, GOING, GOING])
  assert taken == [[10] * 3, [11, 20, 11], [12, 21, 12], [40, 22, 40]]
  assert calls == [{}] * 3  # None where all are on their way.


def test_without_it_every_step_is_planned():
  made = Planner(WORLD.spec, **FOLLOWS)
  assert made.replan == 1 and made.initial(B) == {}
  taken, _ = follow(made, [ANEW, GOING])
  assert [row[0] for row in taken] == [10, 20]


def test_a_followed_plan_may_be_where_the_next_one_starts():
  made = Planner(WORLD.spec, replan=2, warm_start=True, **FOLLOWS)
  _, calls = follow(made, [ANEW, GOING, GOING])
  np.testing.assert_array_equal(calls[0]['start'], np.zeros([B, 3, A]))
  np.testing.assert_array_equal(calls[-1]['start'][0, :, 0], [12, 0, 0])


def test_a_plan_is_not_followed_past_its_end():
  with pytest.raises(
    errors.OptionError, match=r'^replan is 4; .*horizon \(3\)'
  ):
    Planner(WORLD.spec, replan=4, **FOLLOWS)
