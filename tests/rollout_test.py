import dm_env
import numpy as np
import pytest
import tensorflow as tf

from agents import uniform
from agents.run import acting
from agents.run import rollout
from data import workers

A = 2


class World:
  """A counter of its steps; ends after `length`, by the task or by time."""

  action_size = A
  discrete = False

  def __init__(self, length, ends=True):
    self._length = length
    self._ends = ends
    self._action = None
    self.seeds = []

  def _observe(self):
    return {
      'image': np.full([4, 4, 3], self._step, np.uint8),
      'speed': np.float32([self._step, self.seeds[-1]]),
    }

  def reset(self, seed=None):
    self.seeds.append(seed)
    self._step = 0
    return dm_env.restart(self._observe())

  def send(self, action):
    assert self._action is None and self._step < self._length
    self._action = np.array(action)

  def receive(self):
    self._step += 1
    reward = float(self._action.sum())
    self._action = None
    if self._step < self._length:
      return dm_env.transition(reward, self._observe())
    if self._ends:
      return dm_env.termination(reward, self._observe())
    return dm_env.truncation(reward, self._observe())


class Actor:
  """Acts by what it sees, and keeps what it was asked."""

  def __init__(self):
    self.asked = []

  def __call__(self, observation, is_first, step):
    self.asked.append((observation, is_first, step))
    seen = observation['image'][:, 0, 0, 0] + 1.0
    return np.stack([seen / 10, -seen / 100], -1).astype(np.float32)


def test_row_t_is_what_action_t_led_to():
  (episode,) = rollout.rollouts(Actor(), [World(3)], [7])
  # Image t counts t steps; the action that led there was chosen at t - 1.
  assert episode['image'][:, 0, 0, 0].tolist() == [0, 1, 2, 3]
  golden = [[0, 0], [0.1, -0.01], [0.2, -0.02], [0.3, -0.03]]
  np.testing.assert_allclose(episode['action'], golden, atol=1e-7)
  np.testing.assert_allclose(episode['reward'], np.sum(golden, 1), atol=1e-7)
  np.testing.assert_array_equal(
    episode['speed'], [[0, 7], [1, 7], [2, 7], [3, 7]]
  )
  assert episode['is_first'].tolist() == [True, False, False, False]
  assert episode['is_last'].tolist() == [False, False, False, True]
  assert {key: value.dtype for key, value in episode.items()} == {
    'image': np.uint8,
    **dict.fromkeys(('action', 'reward', 'discount', 'speed'), np.float32),
    **dict.fromkeys(('is_first', 'is_last', 'is_terminal'), bool),
  }


@pytest.mark.parametrize('ends', [True, False])
def test_the_task_ends_it_or_time_does(ends):
  (episode,) = rollout.rollouts(Actor(), [World(2, ends)], [0])
  assert episode['discount'].tolist() == [1, 1, 0 if ends else 1]
  assert episode['is_terminal'].tolist() == [False, False, ends]
  assert episode['is_last'].tolist() == [False, False, True]


def test_side_by_side_episodes_of_unlike_length():
  worlds, actor, steps = [World(2), World(5), World(3)], Actor(), []
  together = rollout.rollouts(actor, worlds, [3, 4, 5], lambda: steps.append(1))
  assert [len(episode['reward']) for episode in together] == [3, 6, 4]
  assert [world.seeds for world in worlds] == [[3], [4], [5]]
  assert len(steps) == 5
  for number, (observation, is_first, step) in enumerate(actor.asked):
    assert observation['image'].shape == (3, 4, 4, 3)
    assert step == number
    assert is_first.tolist() == [number == 0] * 3
  for seed, length, episode in zip([3, 4, 5], [2, 5, 3], together):
    (alone,) = rollout.rollouts(Actor(), [World(length)], [seed])
    assert alone.keys() == episode.keys()
    for key in alone:
      np.testing.assert_array_equal(alone[key], episode[key], err_msg=key)


def test_a_seed_for_each_environment():
  with pytest.raises(ValueError):
    rollout.rollouts(Actor(), [World(2), World(2)], [1])


def test_numbers_that_are_not_finite_are_refused():
  world = World(2)
  with pytest.raises(ValueError, match='not finite'):
    rollout.rollouts(lambda *_: np.full([1, A], np.nan), [world], [0])


class Recorder:
  """An agent that counts its steps in its state."""

  def __init__(self):
    self.calls = []

  def initial(self, batch):
    return tf.zeros([batch, 1])

  def policy(self, observation, state, explore, seed):
    self.calls.append((observation, state.numpy(), explore, seed.numpy()))
    return tf.fill([state.shape[0], A], 0.5), state + 1


def test_an_agents_state_and_seeds_go_from_step_to_step():
  agent = Recorder()
  act = rollout.agent_actor(agent, 2, True, 11)
  rollout.rollouts(act, [World(3), World(3)], [0, 1])
  for step, (observation, state, explore, seed) in enumerate(agent.calls):
    np.testing.assert_array_equal(state, np.full([2, 1], step))
    assert seed.tolist() == [11, step] and seed.dtype == np.int32
    assert explore.dtype == tf.bool and bool(explore)
    assert observation.keys() == {'image', 'speed', 'is_first'}
    assert observation['image'].dtype == tf.uint8
    assert observation['is_first'].numpy().tolist() == [step == 0] * 2


def test_an_episode_is_a_function_of_its_seed():
  def play(seed):
    agent = uniform.Agent(actions=A)
    act = rollout.agent_actor(agent, 1, True, seed)
    return rollout.rollouts(act, [World(6)], [seed])[0]['action']

  np.testing.assert_array_equal(play(1), play(1))
  assert np.abs(play(1) - play(2)).max() > 0.1
  assert len(np.unique(play(1)[1:])) == 12  # Each step has its own.


def test_seeds_are_pure_unlike_and_small():
  seeds = [rollout.seed_of(a, b) for a in range(20) for b in range(20)]
  assert len(set(seeds)) == 400
  assert all(0 <= seed < 2**31 for seed in seeds)
  assert rollout.seed_of(np.int64(3), 4.0) == rollout.seed_of(3, 4)
  assert rollout.seed_of(1, 2) != rollout.seed_of(2, 1)
  # One that changes makes every run another.
  assert rollout.seed_of(0, 1, 2) == 1942027521


# ------------------------------------------------------ workers that fail ----


class Frail(World):
  """Fails in its second step, so many times."""

  def __init__(self, failures):
    super().__init__(4)
    self._failures = failures
    self.restarts = 0

  def receive(self):
    if self._step == 1 and self.restarts < self._failures:
      raise workers.WorkerError('the worker died')
    return super().receive()

  def restart(self):
    self._action = None
    self.restarts += 1


def act(worlds, log):
  agent = uniform.Agent(actions=A)
  return acting.episodes(agent, worlds, [5, 6][: len(worlds)], True, log)


def test_an_episode_starts_over_and_comes_out_the_same():
  lines, frail, sound = [], Frail(2), Frail(0)
  found = act([frail, sound], lines.append)
  golden = act([Frail(0), Frail(0)], lines.append)
  for mine, its in zip(found, golden, strict=True):
    for key in its:
      np.testing.assert_array_equal(mine[key], its[key])
  assert lines == [
    'the worker died; the episode starts over (1 of 2)',
    'the worker died; the episode starts over (2 of 2)',
  ]
  assert frail.restarts == sound.restarts == 2


def test_a_worker_that_always_fails_is_an_error():
  with pytest.raises(workers.WorkerError, match='the worker died'):
    act([Frail(99)], lambda line: None)
