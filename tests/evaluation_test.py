import dm_env
import ml_collections
import numpy as np
import pytest
import tensorflow as tf

from worldmodels import encoder
from worldmodels import prediction
from worldmodels.agents import uniform
from worldmodels.agents.agent import WorldModelAgent
from worldmodels.agents.runs import build
from worldmodels.agents.runs import collect
from worldmodels.agents.runs import evaluation
from worldmodels.agents.runs import film
from worldmodels.agents.runs import memory
from worldmodels.agents.runs import restore
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.configs import planet
from worldmodels.data import workers
from worldmodels.spec import Spec

CONFIG = ml_collections.ConfigDict(
  {'train': {'seed_episodes': 2}, 'evaluate': {'context': 2, 'horizon': 4}}
)


class Store:
  """Held-out episodes of given lengths; image brightness is the place.

  Before ours there may be some that others have put there.
  """

  def __init__(self, *lengths, of_others=0):
    self.lengths = list(lengths)
    self._of_others = of_others

  def before(self, number):
    return self._of_others + number

  def episode(self, number):
    length = self.lengths[number]
    return {
      'image': np.full([length, 64, 64, 3], number, np.uint8),
      'action': np.zeros([length, 1], np.float32),
      'reward': np.zeros([length], np.float32),
      'is_first': np.arange(length) == 0,
    }


def run(monkeypatch, store, numbers):
  """Runs it with a model that notes which batches it is shown."""
  seen = []

  def errors(model, batch, context):
    del model, context
    tf.py_function(
      lambda image: seen.append(image.numpy()),
      [batch['image'][:, 0, 0, 0, 0]],
      [],
    )
    return {'image': tf.range(4.0)}

  def drawn(model, batch, context=None):
    del model, context
    return batch['image'], batch['image']

  monkeypatch.setattr(prediction, 'errors', errors)
  monkeypatch.setattr(film, 'open_loop', drawn)
  monkeypatch.setattr(film, 'reconstruction', drawn)
  values = evaluation.open_loop(object(), store, CONFIG, numbers)
  return values, [sorted(set(image.tolist())) for image in seen]


def test_random_and_policy_episodes_are_kept_apart(monkeypatch):
  values, seen = run(monkeypatch, Store(12, 6, 7, 13), [2, 3])
  assert seen == [[0, 1], [2, 3]]
  assert set(values) == {
    'open_loop_random_image',
    'open_loop_policy_image',
    'open_loop_video',
    'reconstruction_video',
  }
  np.testing.assert_array_equal(values['open_loop_policy_image'], [0, 1, 2, 3])
  for name in ('open_loop_video', 'reconstruction_video'):
    assert values[name].dtype == np.uint8
    assert len(values[name]) == 6  # context and horizon


def test_episodes_of_others_count_for_nothing(monkeypatch):
  _, seen = run(monkeypatch, Store(9, 12, 6, 7, 13, of_others=1), [3, 4])
  assert seen == [[1, 2], [3, 4]]


def test_episodes_that_are_too_short_are_passed_over(monkeypatch):
  values, seen = run(monkeypatch, Store(5, 6, 5), [2])
  assert seen == [[1]]
  assert 'open_loop_policy_image' not in values


class Diagnosed:
  """An agent whose model draws how bright its state is."""

  keys = ('image',)  # That the model predicts.

  @property
  def model(self):
    return self

  def observe(self, batch):
    return {'bright': tf.cast(batch['image'][..., 0, 0, 0], tf.float32)}, None

  def drawing(self, state):
    bright = state['bright'][..., None, None, None] / 255.0 - 0.5
    shape = tf.concat([tf.shape(state['bright']), [64, 64, 3]], 0)
    return encoder.drawing(tf.broadcast_to(bright, shape))

  def diagnose(self, batch, context, seed):
    del seed
    figure = tf.reduce_mean(tf.cast(batch['image'], tf.float32))
    after = tf.fill(tf.shape(batch['reward'][:, context:]), 100.0)
    return {'figure': figure}, {'bright': after}


class Undiagnosed(Diagnosed):
  """An agent that says of its behavior what the base of agents says."""

  diagnose = WorldModelAgent.diagnose


def test_an_agent_without_a_diagnosis_has_nothing_to_say():
  assert evaluation.behavior(Undiagnosed(), Store(12), CONFIG, [0]) == {}


def test_figures_and_film_of_the_policys_own_dream(monkeypatch):
  shown = []

  def compose(truth, predicted, context, scale):
    shown.append((truth, predicted))
    return composed(truth, predicted, context, scale=scale)

  composed = film.compose
  monkeypatch.setattr(film, 'compose', compose)
  values = evaluation.behavior(
    Diagnosed(), Store(12, 6, 5, 13), CONFIG, [1, 2, 3]
  )
  assert set(values) == {'behavior_figure', 'own_dream_video'}
  # Of episodes 1 and 3, the second of them twice; one is too short.
  assert values['behavior_figure'] == (1 + 3 + 3) / 3
  assert values['own_dream_video'].shape[0] == 6
  # Two steps were seen, four are imagined.
  ((truth, predicted),) = shown
  assert truth[:, :, 0, 0, 0].tolist() == [[1] * 6, [3] * 6, [3] * 6]
  assert predicted[:, :, 0, 0, 0].tolist() == [
    [bright] * 2 + [100] * 4 for bright in (1, 3, 3)
  ]
  assert evaluation.behavior(Diagnosed(), Store(5), CONFIG, [0]) == {}


@pytest.mark.parametrize('part', ['open_loop', 'behavior'])
def test_a_measurement_without_room_names_what_makes_it_large(
  part, monkeypatch
):
  def full(*unused):
    raise MemoryError

  for name in ('open_loop', 'behavior'):
    monkeypatch.setattr(evaluation, name, lambda *unused: {})
  monkeypatch.setattr(evaluation, part, full)
  config = planet.get_config('debug')
  config.evaluate.episodes = 4
  with pytest.raises(memory.OutOfMemoryError) as caught:
    evaluation.measure(Diagnosed(), Store(12), config, [0])
  line = str(caught.value)
  assert line.startswith('out of memory: no room for an evaluation')
  assert 'evaluate.episodes is 4, --config.evaluate.episodes=2 may fit' in line
  assert line.endswith('(or lower evaluate.horizon)') and '\n' not in line


# --------------------------------------------------------------- returns ----


class Place:
  """An environment of four steps; its reward is the first of two actions."""

  def __init__(self):
    self.seeds, self.actions = [], []

  def reset(self, seed=None):
    self.seeds.append(seed)
    self._step = 0
    return dm_env.restart(self._observe())

  def _observe(self):
    return {'image': np.full([4, 4, 3], self._step, np.uint8)}

  def send(self, action):
    self.actions.append(np.array(action))

  def receive(self):
    self._step += 1
    reward = float(self.actions[-1][0])
    kind = dm_env.termination if self._step == 4 else dm_env.transition
    return kind(reward, self._observe())

  def restart(self):
    pass


class Explorer(uniform.Agent):
  """Keeps whether it was asked to explore."""

  def __init__(self):
    super().__init__(spec=Spec(actions=2, image=(4, 4, 3)))
    self.explored = set()

  def policy(self, observation, state, explore, seed):
    self.explored.add(bool(explore))
    return super().policy(observation, state, explore, seed)


def returns(seeds, count=1, environments=None):
  """Returns of episodes, and the lines of the log."""
  agent, lines = Explorer(), []
  places = environments or [Place() for _ in range(count)]
  found = evaluation.returns(agent, places, seeds, lines.append)
  assert agent.explored == {False}
  return found, lines


def test_a_return_is_the_sum_of_an_episodes_rewards():
  places = [Place(), Place()]
  found, lines = returns([7, 8, 9], environments=places)
  assert [place.seeds for place in places] == [[7, 9], [8]]
  sums = [
    np.sum([action[0] for action in place.actions[first : first + 4]])
    for first, place in ((0, places[0]), (0, places[1]), (4, places[0]))
  ]
  np.testing.assert_allclose(found, sums, rtol=1e-6)
  assert len(set(found)) == 3 and {type(x) for x in found} == {float}
  assert lines == [
    f'episode {number} of 3: return {value:.1f}'
    for number, value in enumerate(found, 1)
  ]


@pytest.mark.parametrize('count', [1, 2])
def test_the_first_episodes_of_more_are_the_same_ones(count):
  found, _ = returns([7, 8, 9, 10, 11], count)
  assert found == returns([7, 8, 9, 10, 11], count)[0]
  for fewer in (2, 4):
    assert returns([7, 8, 9, 10, 11][:fewer], count)[0] == found[:fewer]


def test_an_episode_in_which_a_worker_fails_counts_once():
  class Frail(Place):
    def receive(self):
      if self._step == 2 and len(self.seeds) == 2:
        raise workers.WorkerError('the worker died')
      return super().receive()

  found, lines = returns([7, 8], environments=[Frail()])
  assert found == returns([7, 8])[0]
  assert len(lines) == 3 and 'starts over' in lines[1]


@pytest.fixture(scope='module')
def opened(debug_run):
  """The agent of a run, and an environment."""
  directory = RunDirectory(debug_run)
  config = directory.load()
  environment = build.environment(config)
  agent, _ = restore.agent(directory, config, directory.spec())
  yield agent, environment
  environment.close()


def test_a_run_has_the_same_returns_again(opened):
  """A planner draws random numbers; so does an environment at its resets."""
  agent, environment = opened
  seeds = [collect.seed_of(3, index) for index in range(2)]
  found = evaluation.returns(agent, [environment], seeds, str)
  assert evaluation.returns(agent, [environment], seeds, str) == found
  # The first episodes of more are the same ones.
  assert evaluation.returns(agent, [environment], seeds[:1], str) == found[:1]
  assert found[0] != found[1]
