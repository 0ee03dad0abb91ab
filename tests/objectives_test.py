"""Objectives: what is built in, and what holds those of a user."""

import types

import cv2
import numpy as np
import pytest
import tensorflow as tf
import worlds

from worldmodels import decoded
from worldmodels import errors
from worldmodels.agents import goals
from worldmodels.agents import objectives
from worldmodels.agents import planner
from worldmodels.agents.programs import objective_flags
from worldmodels.agents.runs import goal_image
from worldmodels.agents.runs import objective_sums
from worldmodels.configs import dreamer
from worldmodels.configs import planet
from worldmodels.spec import Spec

OPTIONS = dict(iterations=8, candidates=200, elites=20)
SEEDS = tf.constant([[0, 1], [2, 3]])


class Seen(worlds.Line):
  """A line whose place is seen: as an image, and as the vector `position`.

  Its images have one brightness, 0 at place -5 and 255 at 5. It counts what is
  decoded.
  """

  spec = Spec(actions=1, image=(2, 2, 3), vectors={'position': 2})
  keys = ('image', 'reward', 'position')

  def __init__(self):
    super().__init__()
    self.drawn = 0

  def initial(self, count):
    return {'place': tf.zeros([count, 1])}

  def observe(self, batch):
    light = tf.cast(batch['image'], tf.float32)[..., 0, 0, :1]
    return {'place': light / 25.5 - 5.0}, None

  def features(self, state):
    return tf.concat([state['place'], tf.ones_like(state['place'])], -1)

  def image(self, state):
    self.drawn += 1
    light = state['place'][..., None, None] * 0.1
    return tf.broadcast_to(light, [*light.shape[:-3], 2, 2, 3])

  def pixels(self, image):
    return tf.cast(image, tf.float32) / 255.0 - 0.5

  def head(self, key):
    assert key == 'position'
    return self

  def mean(self, features):
    place = features[..., :1]
    return tf.concat([place, -2.0 * place], -1)


class Plain(Seen):
  """The same with the image alone."""

  spec = Spec(actions=1, image=(2, 2, 3))
  keys = ('image', 'reward')


def at(*places):
  return {'place': tf.constant(places, tf.float32)[..., None]}


def worth(objective, *places, model=None):
  state = at(*places)
  return objective(state, decoded.Decoded(model or Seen(), state)).numpy()


# --------------------------------------------------------- what is decoded ----


def test_what_is_decoded_is_in_the_units_of_the_task():
  state = at([0.0, 1.0], [-1.0, 5.0])
  found = decoded.Decoded(Seen(), state)
  assert list(found) == [*Seen.keys, 'discount', 'features'] and len(found) == 5
  np.testing.assert_allclose(
    found['image'][..., 0, 0, 0], [[127.5, 153.0], [102.0, 255.0]], rtol=1e-6
  )
  assert found['image'].shape == [2, 2, 2, 2, 3]
  np.testing.assert_array_equal(found['reward'], [[0, -1], [-1, -25]])
  np.testing.assert_array_equal(found['discount'], np.ones([2, 2]))
  np.testing.assert_array_equal(found['position'][1], [[-1, 2], [5, -10]])
  np.testing.assert_array_equal(found['features'][..., 0], [[0, 1], [-1, 5]])


def test_a_key_is_decoded_when_it_is_asked_for_and_once():
  model = Seen()
  found = decoded.Decoded(model, at(0.0))
  assert 'image' in found and 'speed' not in found and found['reward'] == 0
  assert model.drawn == 0
  assert found['image'] is found['image'] and model.drawn == 1
  with pytest.raises(KeyError, match="'speed' is not decoded.*image, reward"):
    found['speed']


def test_what_was_observed_need_not_be_decoded():
  model = Seen()
  image = np.full([1, 2, 2, 3], 200, np.uint8)
  known = {'image': image, 'speed': tf.constant([[3.0]])}
  found = decoded.Decoded(model, at(0.0), known)
  np.testing.assert_array_equal(found['image'], image)
  assert found['image'].dtype == tf.float32 and model.drawn == 0
  assert found['speed'] == 3.0 and found['reward'] == 0.0


# ------------------------------------------------------- what is built in ----


def test_the_goal_in_pixels_is_half_the_squared_error():
  goal = goals.goal(Seen(), np.full([2, 2, 3], 153, np.uint8))  # place 1
  found = worth(goal, [1.0, 0.0], [2.0, -1.0])
  np.testing.assert_allclose(
    found, -0.5 * 12 * np.array([[0.0, 0.01], [0.01, 0.04]]), atol=1e-6
  )


def test_the_goal_in_features_is_an_angle():
  image = np.full([2, 2, 3], 153, np.uint8)
  goal = goals.goal(Plain(), image, 'features')
  found = worth(goal, 1.0, -1.0, 3.0, model=Plain())
  expected = np.cos(np.arctan([1, -1, 3]) - np.pi / 4) - 1
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_weighed_vectors():
  found = worth(goals.linear(Seen(), {'position': [1, 0.25]}), [1.0], [4.0])
  np.testing.assert_allclose(found, [[0.5], [2.0]])
  found = worth(goals.linear(Seen(), {'position': 2.0, 'reward': 3}), 1.0, 2.0)
  np.testing.assert_allclose(found, [-2.0 - 3.0, -4.0 - 12.0])


@pytest.mark.parametrize(
  'make,says',
  [
    (
      lambda: goals.goal(Seen(), np.zeros([2, 3, 3], np.uint8)),
      '2 x 3 x 3; th',
    ),
    (lambda: goals.goal(Seen(), np.zeros([2, 2, 3])), 'float64 .* uint8'),
    (
      lambda: goals.goal(Seen(), np.zeros([2, 2, 3], np.uint8), 'l'),
      'distance',
    ),
    (
      lambda: goals.goal(Seen(), np.zeros([2, 2, 3], np.uint8), 'features'),
      'also observes position.* in pixels',
    ),
    (lambda: goals.linear(Seen(), {'speed': 1.0}), "no 'speed'.*reward, posit"),
    (lambda: goals.linear(Seen(), {'image': 1.0}), "no 'image' that could"),
    (lambda: goals.linear(Seen(), {'position': [1]}), '2 numbers, but 1 weigh'),
    (lambda: goals.linear(Seen(), {'position': np.nan}), 'is not finite'),
    (lambda: goals.linear(Seen(), {}), 'no weight'),
  ],
)
def test_what_is_built_in_says_what_it_cannot(make, says):
  with pytest.raises(errors.UserError, match=says) as raised:
    make()
  assert '\n' not in str(raised.value)


# -------------------------------------------------------------- a planner ----


def planned(model, objective=None, value=None):
  """Where a plan of two steps ends that starts at 0 and at 1."""
  made = planner.Planner(
    model.spec, kind='cem', horizon=2, sample=False, **OPTIONS
  )
  if objective is not None:
    made.objective = objectives.of_states(model, objective, 'mine')
  start = at(0.0, 1.0)
  actions = made.plan(model, start, SEEDS, value=value).actions
  return model.imagine(start, actions)['place'][:, -1, 0].numpy()


def left(states, decoded):
  """An objective of a user's."""
  del states
  return -tf.square(decoded['position'][..., 0] + 1.0)


def test_a_planner_climbs_the_objective_in_place_of_the_reward():
  np.testing.assert_allclose(planned(Seen()), [0, 0], atol=0.1)
  np.testing.assert_allclose(planned(Seen(), left), [-1, -1], atol=0.1)
  goal = goals.goal(Seen(), np.full([2, 2, 3], 153, np.uint8))
  np.testing.assert_allclose(planned(Seen(), goal), [1, 1], atol=0.1)


def test_the_value_of_the_task_does_not_count_for_another_objective():
  def value(state):
    return 100.0 * state['place'][..., 0]

  assert (planned(Seen(), value=value) > 1.5).all()
  np.testing.assert_allclose(planned(Seen(), left, value), [-1, -1], atol=0.1)


# --------------------------------------------------------- one of a user's ----


def numpy_alone(states, decoded):
  return np.square(decoded['reward'])


def too_much(states, decoded):
  return {}['gone'], decoded


@pytest.mark.parametrize(
  'objective,says',
  [
    (
      lambda states, decoded: decoded['position'],
      r'shape \[2, 3, 2\] .*\[2, 3',
    ),
    (lambda states, decoded: 0.0, r'returns shape \[\] for states \[2, 3\]'),
    (lambda states, decoded: decoded['reward'][:1], r'shape \[1, 3\]'),
    (
      lambda states, decoded: decoded['reward'] / 0.0,
      'returns (nan|-inf): a re',
    ),
    (lambda states, decoded: None, 'raises ValueError: None values not'),
    (lambda states, decoded: 'text', 'raises'),
    (
      lambda states, decoded: decoded['speed'],
      "raises KeyError: .*'speed' is no",
    ),
    (lambda states: 0.0, 'raises TypeError: .* takes 1 positional'),
    (
      numpy_alone,
      'raises NotImplementedError: .*made of TensorFlow operations',
    ),
    (too_much, r"raises KeyError: 'gone' \(.*objectives_test.py, line \d+\)"),
  ],
)
def test_one_that_cannot_be_planned_for_is_one_line(objective, says):
  with pytest.raises(objectives.ObjectiveError, match=says) as raised:
    objectives.check(Seen(), objective, 'my_lab:mine')
  message = str(raised.value)
  assert message.startswith('the objective my_lab:mine ')
  assert '\n' not in message and len(message) < 500
  assert objectives.check(Seen(), left, 'mine') is None


def test_one_that_is_not_finite_where_the_planner_comes_is_one_line():
  def root(states, decoded):
    del states
    return tf.sqrt(decoded['position'][..., 0] + 0.3)

  with pytest.raises(
    objectives.ObjectiveError, match='mine is not finite.*pla'
  ):
    with objectives.explained('mine'):
      planned(Seen(), root)
  # Other errors pass.
  with pytest.raises(tf.errors.InvalidArgumentError, match='another'):
    with objectives.explained('mine'):
      tf.debugging.check_numerics(np.nan, 'another')


def test_the_sum_over_real_episodes_is_of_what_was_seen():
  """All rows but the first, to which no action led; the rest is decoded."""

  def both(states, decoded):
    del states
    return decoded['reward'] + 10.0 * decoded['position'][..., 0]

  state = at([7.0, 1.0, 2.0], [7.0, 3.0, 4.0])
  known = {'reward': np.float32([[9, 0.5, 0.25], [9, 0, 1]])}
  found = objectives.total(Seen(), both, state, known, 'mine')
  np.testing.assert_allclose(found, [30.75, 71.0])


def test_the_reward_is_planned_for_with_what_the_critic_knows_of_it():
  model = Seen()
  assert objectives.climbed(model, objectives.reward, 'reward') is None
  climbed = objectives.climbed(model, left, 'left')
  np.testing.assert_array_equal(climbed(at(0.0, 2.0)), [-1.0, -9.0])


def test_an_agent_that_does_not_plan_has_no_use_for_one():
  class Agent:
    planner, model = None, Seen()

  with pytest.raises(objectives.ObjectiveError, match='mine needs a planner'):
    objectives.use(Agent(), left, 'mine')


def test_without_one_nothing_is_summed():
  sums = objective_sums.Sums(types.SimpleNamespace(model=Seen()), None, print)
  with sums.explained():
    sums.add({})
  assert sums.summary() == {} and not sums.values


# --------------------------------------------------------------- its flags ----


CONFIG = planet.get_config('debug')
CONFIG.heads.discount.kind = 'none'
CONFIG.heads.position = {'kind': 'normal', 'scale': 1.0}


def choice(config=CONFIG, spec=Seen.spec, **values):
  return objective_flags.choice(config, spec, **values)


def test_flags_make_what_they_say(tmp_path):
  assert choice() is None
  made = choice(linear='position.1:-0.5,reward:2')
  found = worth(made.make(Seen()), 1.0, 2.0)
  np.testing.assert_allclose(found, [1.0 - 2.0, 2.0 - 8.0])
  made = choice(objective='reward')
  np.testing.assert_allclose(worth(made.make(Seen()), 2.0), [-4.0])
  made = choice(objective=f'{__name__}:left')
  assert made.make(Seen()) is left and made.name == f'{__name__}:left'
  # Channels are in the order of the task's, whoever wrote the file.
  image = np.zeros([2, 2, 3], np.uint8)
  image[..., 0] = 153
  file = tmp_path / 'goal.png'
  assert cv2.imwrite(str(file), image[..., ::-1])
  np.testing.assert_array_equal(goal_image.read(str(file), 3), image)
  assert goal_image.read(str(file), 1).shape == (2, 2, 1)
  goal = choice(goal=str(file)).make(Seen())
  assert worth(goal, 0.0) < -0.1


def write(path, content):
  path.write_bytes(content)
  return str(path)


@pytest.mark.parametrize(
  'values,says',
  [
    (dict(objective='left'), 'it is reward, or module:function'),
    (dict(objective='my_lab:'), 'it is reward, or module:function'),
    (dict(objective='gone_lab.goals:left'), "no module 'gone_lab'"),
    (dict(objective=f'{__name__}:rigth'), "has no function 'rigth'"),
    (
      dict(objective='tests.strange_objectives:f'),
      'raises RuntimeError: early',
    ),
    (dict(objective='reward', linear='a:1'), 'are objectives: give one'),
    (dict(distance='features'), '--goal_distance needs a --goal'),
    (dict(linear='position'), "'position' is no weight"),
    (dict(linear='position.0:much'), 'is no weight; they are written'),
    (dict(linear='position.0:inf'), 'is no weight'),
    (dict(linear='position.0:1,'), "'' is no weight"),
    (dict(linear='position.2:1'), 'the last of which is position.1'),
    (dict(linear='speed.0:1'), "no 'speed' that could.* position, reward: tr"),
    (dict(linear='image:1'), "no 'image' that could be weighed"),
    (dict(linear='reward.0:1'), 'reward is one number'),
    (dict(linear='position:1,position.0:2'), 'weighs position twice'),
  ],
)
def test_flags_from_which_nothing_can_be_made(values, says):
  with pytest.raises(errors.UserError, match=says) as raised:
    choice(**values)
  assert '\n' not in str(raised.value)


def test_goals_that_cannot_be_read(tmp_path):
  with pytest.raises(OSError, match='No such file'):
    choice(goal=str(tmp_path / 'gone.png'))
  with pytest.raises(errors.UserError, match='is a directory'):
    choice(goal=str(tmp_path))
  for content in (b'', b'text', b'\x89PNG\r\n\x1a\n' + bytes(30)):
    with pytest.raises(errors.UserError, match='is no image that can be read'):
      choice(goal=write(tmp_path / 'bad.png', content))
  # Small as a file, but not as an image.
  header = b'\x89PNG\r\n\x1a\n' + bytes(8) + (90000).to_bytes(4, 'big') * 2
  with pytest.raises(errors.UserError, match='90000 x 90000 pixels'):
    choice(goal=write(tmp_path / 'huge.png', header))
  _, other = cv2.imencode('.png', np.zeros([3, 4, 3], np.uint8))
  with pytest.raises(errors.UserError, match=r'is 3 x 4 x 3; .* are 2 x 2 x 3'):
    choice(goal=write(tmp_path / 'other.png', other.tobytes()))
  with pytest.raises(errors.UserError, match='shows no image'):
    choice(spec=Spec(1, image=None), goal=str(tmp_path / 'other.png'))


def test_nobody_plans_in_a_run_whose_actor_acts():
  config = dreamer.get_config('debug')
  with pytest.raises(errors.UserError, match='add --config.acting=planner'):
    choice(config, objective='reward')
  config.acting = 'planner'
  assert choice(config, objective='reward') is not None
  del config.planner
  with pytest.raises(
    errors.UserError, match='needs a planner; this run has no'
  ):
    choice(config, objective='reward')
