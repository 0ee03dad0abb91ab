"""The audit of a run: figures of a model that is known, and what is printed."""

import json
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf

from worldmodels import states
from worldmodels.agents import learning_agent
from worldmodels.agents import planner
from worldmodels.agents.reports import audits
from worldmodels.agents.reports import page
from worldmodels.agents.reports import records
from worldmodels.agents.runs import audit
from worldmodels.agents.runs import forecasts
from worldmodels.agents.runs import selection
from worldmodels.agents.runs import starts
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.data.store import Store
from worldmodels.spec import Spec

KL = 0.02  # of each step, in nats: a total variation of 0.1 at most


class Model:
  """x' = x + action + `off`, the reward is x'; what is observed is x itself.

  Args:
    off: by which each step is wrong.
    noise: deviation of a draw.
    going: the discount of every state.
  """

  spec = Spec(actions=1, image=None, vectors={'x': 1})
  stochastic = True

  def __init__(self, off, noise=0.0, going=1.0):
    self._off, self._noise, self._going = off, noise, going

  def divergence(self, posterior, prior):
    del prior
    return tf.fill(tf.shape(posterior['x'])[:-1], KL)

  def observe(self, batch):
    return {'x': batch['x']}, {'x': batch['x']}

  def step(self, state, action, seed=None):
    drawn = tf.random.stateless_normal(tf.shape(action), seed)
    return {'x': state['x'] + action + self._off + self._noise * drawn}

  def imagine(self, state, action, seed=None):
    drawn = tf.random.stateless_normal(tf.shape(action), seed)
    steps = action + self._off + self._noise * drawn
    return {'x': state['x'][:, None] + tf.cumsum(steps, 1)}

  def reward(self, state):
    return state['x'][..., 0]

  def discount(self, state):
    return tf.fill(tf.shape(state['x'])[:-1], self._going)

  def features(self, state):
    return state['x']


class Actor:
  """An agent that always goes up by one."""

  name, planner = 'up', None

  def __init__(self, model):
    self.model = model
    self.learner = types.SimpleNamespace(act=self._act)

  def _act(self, features, seed, explore):
    assert not explore
    return tf.ones_like(features)


class Planner:
  """The same by a planner, whose plans go up by two at their second step."""

  name = 'plans'

  def __init__(self, model, replan=1):
    self.model = model
    self.planner = planner.Planner(
      model.spec,
      kind='random_shooting',
      horizon=2,
      sample=False,
      candidates=1,
      warm_start=True,
      replan=replan,
    )

  def plan(self, state, seeds, start=None):
    assert start is None or start.shape[1:] == (2, 1)
    steps = tf.constant([[[1.0], [2.0]]])
    actions = tf.repeat(steps, states.size(state), 0)
    return types.SimpleNamespace(actions=actions)


def episode(length, first=0, ended=False):
  """What an agent lives through that goes up by one."""
  x = first + np.arange(length, dtype=np.float32)
  going = np.ones(length, np.float32)
  going[-1] = 0.0 if ended else 1.0
  return {
    'x': x[:, None],
    'action': np.ones([length, 1], np.float32),
    'reward': np.where(np.arange(length) > 0, x, 0).astype(np.float32),
    'discount': going,
    'is_first': np.arange(length) == 0,
  }


OPTIONS = dict(context=2, horizon=3, count=99, dreams=2, gamma=0.5)
POLICY = {'acting': 'policy'}


def test_each_figure_of_a_known_model_by_hand():
  """Starts at x = 1 and 2 of one episode, and at 11 of another."""
  both = [episode(6), episode(5, 10)]
  found = audit.measure(Actor(Model(0.5)), POLICY, both, **OPTIONS)
  assert found['starts'] == 3 and found['gap_of'] == 'agent'
  mean = (1 + 2 + 11) / 3
  weights = np.array([1.0, 0.5, 0.25])
  real = np.cumsum(weights * (mean + np.arange(1, 4)))
  np.testing.assert_allclose(found['real'], real, rtol=1e-5)
  off = np.cumsum(weights * [0.5, 1.0, 1.5])
  np.testing.assert_allclose(found['predicted'], real + off, rtol=1e-5)
  np.testing.assert_allclose(found['replayed'], real + off, rtol=1e-5)
  np.testing.assert_allclose(found['gap'], off, rtol=1e-5)
  np.testing.assert_allclose(found['rms_error'], off, rtol=1e-5)
  np.testing.assert_allclose(found['gap_error'], 0.0, atol=1e-5)
  np.testing.assert_allclose(found['reward_error'], [0.5, 1.0, 1.5], rtol=1e-5)
  np.testing.assert_allclose(found['divergence'], KL, rtol=1e-5)
  assert found['transition_error'] == pytest.approx(0.1)
  assert found['planned'] is None
  # Rewards from 2, the first that is seen, to 15.5, predicted for 14.
  assert found['reward_width'] == pytest.approx(13.5)
  classic = np.cumsum(weights * [0.5, 0.5 + 1.35, 0.5 + 2.7])
  np.testing.assert_allclose(found['classic'], classic, rtol=1e-5)
  tight = np.cumsum(
    weights * [0.5, 0.9 * 0.5 + 0.1 * 13.5, 0.81 * 0.5 + 0.19 * 13.5]
  )
  np.testing.assert_allclose(found['tight'], tight, rtol=1e-5)
  assert found['endless']['largest'] == pytest.approx(27.0)
  assert len(found['assumes']) == 4
  assert audits.is_one(json.loads(json.dumps(found)))


def test_actions_are_those_that_led_to_what_came():
  """Steps of 1, 2, 3, ...: the model that is exact predicts each."""
  uneven = episode(7)
  uneven['action'] = np.arange(7, dtype=np.float32)[:, None]
  place = np.cumsum(uneven['action'], 0)
  uneven |= {'x': place, 'reward': place[:, 0]}
  found = audit.measure(
    Actor(Model(0.0)), POLICY, [uneven], own=False, **OPTIONS
  )
  np.testing.assert_allclose(found['gap'], 0.0, atol=1e-5)
  np.testing.assert_allclose(found['reward_error'], 0.0, atol=1e-5)
  # From 1, 3 and 6: what led to 3, to 6 and to 10 came first.
  assert found['real'][0] == pytest.approx((3 + 6 + 10) / 3)


def test_the_error_of_the_gap_is_that_of_episodes():
  """Two that the model is wrong about by 0 and by 2: 1 +- 1."""
  difference = np.array([[0.0], [0.0], [0.0], [2.0]])
  gap, error = audit._gap(difference, np.array([0, 0, 0, 1]))
  assert gap == pytest.approx(0.5) and error == pytest.approx(1.0)
  assert audit._gap(difference, np.zeros(4))[1] is None


def test_plans_are_held_to_what_came_of_planning_at_each_step():
  found = audit.measure(Planner(Model(0.0)), {}, [episode(6)], **OPTIONS)
  # Of a plan: up by 1, then by 2. Of the agent: by 1 each time.
  np.testing.assert_allclose(found['planned'], [2.5, 2.5 + 2.25], rtol=1e-5)
  np.testing.assert_allclose(found['predicted'], found['real'], rtol=1e-5)
  assert 'plans promise 4.75 for 2 steps; 4.25 came' in ' '.join(
    audits.words(found)
  )


def test_who_follows_whole_plans_is_predicted_to_follow_them():
  found = audit.measure(Planner(Model(0.0), 2), {}, [episode(6)], **OPTIONS)
  # Up by 1, by 2, and by 1 again from a fresh plan.
  np.testing.assert_allclose(
    found['predicted'], [2.5, 2.5 + 2.25, 2.5 + 2.25 + 1.375], rtol=1e-5
  )


def test_nothing_is_predicted_of_an_agent_that_did_not_play():
  found = audit.measure(
    Planner(Model(0.5)), {}, [episode(6)], own=False, **OPTIONS
  )
  assert found['predicted'] is None and found['planned'] is None
  assert found['gap_of'] == 'actions' and found['gap'][0] == 0.5
  assert audits.is_one(found) and found['assumes'][-1] == audit.BLIND


def test_draws_are_averaged():
  given = dict(OPTIONS, dreams=64)
  found = audit.measure(Actor(Model(0, 1.0)), POLICY, [episode(6)], **given)
  np.testing.assert_allclose(found['predicted'], found['real'], atol=0.3)
  np.testing.assert_allclose(found['replayed'], found['real'], atol=0.3)
  one = audit.measure(
    Actor(Model(0, 1.0)), POLICY, [episode(6)], **dict(given, dreams=1)
  )
  assert np.abs(np.subtract(one['predicted'], one['real'])).max() > 0.3


def test_after_an_end_nothing_comes():
  """Rows of 0 pad what came, and the model's own discount counts."""
  given = dict(OPTIONS, horizon=4, gamma=1.0)
  found = audit.measure(
    Actor(Model(0.0)), POLICY, [episode(4, ended=True)], **given
  )
  # From x = 1 there are 2 and 3, from x = 2 there is 3.
  assert found['starts'] == 2
  np.testing.assert_allclose(found['real'], [2.5, 4, 4, 4], rtol=1e-5)
  # The model sees no end: 2 + 3 + 0 + 0, where no action was taken.
  assert found['replayed'][1] == pytest.approx((5 + 6) / 2)
  assert found['endless'] is None
  ending = audit.measure(
    Actor(Model(0.0, going=0.0)), POLICY, [episode(4, ended=True)], **given
  )
  np.testing.assert_allclose(ending['predicted'], [2.5] * 4, rtol=1e-5)


def test_ends_that_are_predicted_wrongly_are_in_the_bounds():
  """The model ends with a probability of 0.1 at each step: the world does not.

  It is a step to a state without reward, so that rewards begin at 0.
  """
  found = audit.measure(
    Actor(Model(0.0, going=0.9)), POLICY, [episode(6)], **OPTIONS
  )
  assert found['transition_error'] == pytest.approx(0.1 + 0.1)
  assert found['reward_width'] == pytest.approx(5.0)
  assert 0 < found['gap'][1] and (np.less_equal(*_both(found))).all()
  # Where the world ends and the model goes on they have all parted.
  ended = audit.measure(
    Actor(Model(0.0)), POLICY, [episode(4, ended=True)], **OPTIONS
  )
  assert ended['largest_transition_error'] == 1.0
  assert ended['transition_error'] == pytest.approx((0.1 + 1.0) / 2)


def _both(found):
  return found['gap'], found['tight']


def test_points_that_differ_have_nothing_in_common():
  model = Model(0.5)
  model.stochastic = False
  found = audit.measure(Actor(model), POLICY, [episode(6)], **OPTIONS)
  assert found['transition_error'] == 1.0
  parted = np.array([0.5, *[found['reward_width']] * 2])
  np.testing.assert_allclose(
    found['tight'], np.cumsum(parted * [1.0, 0.5, 0.25]), rtol=1e-5
  )


def test_what_cannot_be_audited_is_said():
  with pytest.raises(starts.ShortError, match='has 4 rows; it takes 5'):
    audit.measure(Actor(Model(0.0)), POLICY, [episode(4)], **OPTIONS)
  with pytest.raises(audit.AuditError, match='not finite'):
    audit.measure(Actor(Model(np.nan)), POLICY, [episode(6)], **OPTIONS)
  with pytest.raises(forecasts.ForecastError, match="'up' has neither"):
    forecasts.plans(Actor(Model(0.0)), {})
  nobody = learning_agent.LearningAgent(spec=Spec(1), name='free')
  with pytest.raises(
    forecasts.ForecastError, match="'free' has no world model"
  ):
    forecasts.plans(nobody, {})


# -------------------------------------------------------------- programs ----


@pytest.fixture(scope='module')
def printed(debug_run, program):
  """What the program prints; it leaves the run as it is."""
  before = sorted(debug_run.rglob('*'))
  done = program(
    *('audit', f'--logdir={debug_run}', '--episodes=2', '--context=3'),
    *('--horizon=6', '--starts=8', '--dreams=2', '--gamma=0.9'),
  )
  assert done.returncode == 0, done.stderr
  assert sorted(debug_run.rglob('*')) == before
  assert 'Traceback' not in done.stderr
  assert 'predicted   replayed    planned' in done.stderr
  return done.stdout


def test_prints_one_json_object(printed):
  found = json.loads(printed)
  assert printed.count('\n') == 1 and audits.is_one(found)
  assert found['task'] == 'hill' and found['episodes'] == 'played'
  assert found['starts'] == 8 and len(found['returns']) == 2
  assert len(found['real']) == 6 and len(found['planned']) == 4
  assert 0 < found['transition_error'] <= 1
  classic, tight, largest = (
    np.array(found[key]) for key in ('classic', 'tight', 'largest')
  )
  assert (tight <= classic * 1.001).all() and (tight <= 1.001 * largest).all()
  assert found['gap'][0] <= 1.1 * max(found['rms_error'])


def test_a_kept_audit_is_in_the_report(printed, debug_run, tmp_path):
  run = tmp_path / 'run'
  shutil.copytree(debug_run, run)
  (run / records.AUDIT).write_text(printed)
  assert '<h4>Audit</h4>' in page_of(run)
  assert 'tight bound' in page_of(run)
  assert ASSUMED in page_of(run)
  # What is none is not shown, whatever it is.
  for text in ('{}', '[1]', 'no', damaged(printed, 'gap', [1e400])):
    (run / records.AUDIT).write_text(text)
    assert '<h4>Audit</h4>' not in page_of(run)
  hostile = damaged(printed, 'assumes', ['<script>bad()</script>', 3])
  (run / records.AUDIT).write_text(hostile)
  assert '<script>' not in page_of(run)


ASSUMED = 'The bounds assume: the filtered state'


def damaged(printed, key, value):
  return json.dumps(json.loads(printed) | {key: value})


def page_of(run):
  (record,) = records.read([str(run)])
  contents = page.Contents([record], {}, {}, {})
  return page.build(contents, 'now').decode()


def test_recorded_episodes_are_of_the_policy_and_no_others(debug_run):
  directory = RunDirectory(debug_run)
  store = Store(directory.heldout, log=print, reading=True)
  own = [number for number in store.numbers if number >= 2]
  found, source = selection.of_policy(directory, 2, 99, 4)
  assert len(found) == len(own) < len(store.numbers)
  assert source.startswith('recorded, episode')
  np.testing.assert_array_equal(
    found[-1]['reward'], store.episode(store.numbers.index(own[-1]))['reward']
  )
  assert len(selection.of_policy(directory, 2, 1, 4)[0]) == 1
  for random, shortest in ((99, 4), (2, 999)):
    with pytest.raises(RunError, match='no held-out episode of the policy of'):
      selection.of_policy(directory, random, 9, shortest)


@pytest.mark.parametrize(
  'key,value',
  [
    ('real', []),
    ('real', 'x'),
    ('predicted', [1.0]),
    ('planned', [1.0] * 99),
    ('planned', []),
    ('gap_of', ['agent']),
    ('gap_of', 'nobody'),
    ('starts', None),
    ('tight', [None] * 3),
  ],
)
def test_what_is_no_audit_is_known(key, value):
  found = audit.measure(Planner(Model(0.0)), {}, [episode(6)], **OPTIONS)
  assert audits.is_one(found) and not audits.is_one(found | {key: value})


def test_the_maze_is_audited_without_tensorflow(program, tmp_path):
  folder = tmp_path / 'none'
  folder.mkdir()
  (folder / 'tensorflow.py').write_text('raise RuntimeError("too early")\n')
  out = tmp_path / 'maze.svg'
  done = program('audit', '--maze', f'--out={out}', PYTHONPATH=str(folder))
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout)
  assert found['start_value'] == pytest.approx(0.5133, abs=1e-4)
  rows = {round(row['transition_error'], 4): row for row in found['models']}
  assert rows[0.1957]['gap'] == pytest.approx(0.681, abs=1e-3)
  assert rows[0.0098]['tight'] == pytest.approx(3.14, abs=0.01)
  assert 'classic bound' in out.read_text()


@pytest.mark.parametrize(
  'flags,told',
  [
    ((), '--logdir names a run; give it, or --maze, and not both'),
    (('--maze', '--logdir=x'), 'and not both'),
    (('--logdir=example:hill', '--gamma=nan'), 'gamma'),
    (('--logdir=example:hill', '--out=x.gif'), "ends in '.gif'"),
    (('--maze', '--starts=4096', '--horizon=99'), 'have at most 100000'),
    (('--logdir=example:hill', '--checkpoint=7'), '7'),
  ],
)
def test_what_is_wrong_is_said_in_one_line(flags, told, program):
  done = program('audit', *flags)
  assert done.returncode in (1, 2) and not done.stdout
  assert done.stderr.startswith('error: ') and done.stderr.count('\n') == 1
  assert told in done.stderr
