import numpy as np
import pytest

from worldmodels.data import environments
from worldmodels.data import soundness


def test_random_choices_are_one_hot_and_unlike():
  episode = soundness.play(environments.make('juggle'), 0)
  actions = episode['action']
  assert actions.shape == (51, 3) and actions.dtype == np.float32
  assert not actions[0].any()  # The reset has none.
  np.testing.assert_array_equal(actions[1:].sum(1), 1)
  assert (actions[1:].max(1) == 1).all()
  assert actions[1:].sum(0).min() > 5


# ---------------------------------------------------------- what it finds ----


def found(function, **options):
  env = environments.make(f'tests.strange_tasks:{function}', **options)
  episodes = [soundness.play(env, seed) for seed in range(2)]
  return soundness.problems(
    episodes, soundness.play(env, 0, 3), soundness.play(env, 1, 3)
  )


def test_images_that_no_seed_decides_are_found():
  (problem,) = found('random_pixels')
  assert problem == 'the same seed and actions give another image'


def test_images_that_nothing_decides_are_found():
  assert found('load') == [
    'another seed and other actions give the same images'
  ]


def test_an_episode_without_an_end_is_found(monkeypatch):
  env = environments.make('tests.strange_tasks:endless')
  episode = soundness.play(env, 0, 5)
  other = {**episode, 'image': episode['image'] + 1}
  (problem,) = soundness.problems([episode], episode, other)
  assert 'has not ended' in problem
  # One that names its end may have it later.
  assert not soundness.problems([episode], episode, other, limited=True)


def test_a_long_task_that_names_its_limit_is_sound(monkeypatch):
  monkeypatch.setattr(soundness, '_LONGEST', 20)
  env = environments.make('hill')
  assert env.step_limit == 50
  episodes = [soundness.play(env, seed, 20) for seed in range(2)]
  assert not soundness.examine(env, [0, 1], episodes)
  assert not soundness.suggestions(env, episodes)


def test_other_faults_are_found():
  episode = soundness.play(environments.make('hill'), 0)
  dark = {**episode, 'image': episode['image'] * 0}
  other = {**episode, 'image': episode['image'] + 1}
  assert soundness.problems([episode], episode, other) == []
  assert 'the image never changes' in soundness.problems([dark], dark, other)
  late = {**episode, 'reward': np.roll(episode['reward'], 1)}
  assert 'the same seed and actions give another reward' in soundness.problems(
    [episode], late, other
  )
  grown = {**episode, 'discount': episode['discount'] * 2}
  assert 'a discount is 2.0 or 2.0' in soundness.problems([grown], grown, other)


# ----------------------------------------------------------- what it says ----


def test_keys_that_a_task_asks_for_are_suggested():
  env = environments.make('hill')
  hill = soundness.play(env, 0)
  assert soundness.suggestions(env, [hill, hill]) == []
  early = environments.make('tests.strange_tasks:ends')
  ends = soundness.play(early, 0)
  # Presets have the head unless the task says that it is not needed.
  assert soundness.suggestions(early, [ends]) == []
  (discount,) = soundness.suggestions(env, [hill, ends])
  assert '--config.heads.discount.kind=bernoulli' in discount
  endless = environments.make('tests.strange_tasks:endless')
  whole, begun = (soundness.play(endless, 0, most) for most in (10_000, 5))
  for episode in (whole, begun):
    (limit,) = soundness.suggestions(endless, [hill, episode])
    assert '--config.environment.step_limit=1000' in limit


def told(environment, **changes):
  episodes = [soundness.play(environment, 0)]
  for name, value in changes.items():
    setattr(environment, name, value)
  lines = soundness.report(environment, episodes, 1.0)
  return dict(line.split(maxsplit=1) for line in lines)


def test_the_bounds_of_the_task_are_told():
  load = environments.make('tests.strange_tasks:load')
  assert told(load)['action'].startswith('2 in [-1, 1]')
  assert told(load)['bounds'] == '[-2, 6], [0, 1] of the task itself'
  bounds = [[5, np.inf]] + [[-1, 1]] * 55 + [[0, n] for n in range(1, 9)]
  assert told(load, bounds=bounds)['bounds'] == (
    '[5, inf), 55 x [-1, 1], [0, 1], [0, 2], [0, 3], [0, 4], ... (64 in all) '
    'of the task itself'
  )
  juggle = environments.make('juggle')
  assert told(juggle)['bounds'] == '0 to 2, the index of the choice'


# ------------------------------------------------------ what is played again --


def examined(function, **options):
  """What is found in two episodes, as `worldmodels check` plays them."""
  env = environments.make(f'tests.strange_tasks:{function}', **options)
  episodes = [soundness.play(env, seed) for seed in range(2)]
  return soundness.examine(env, range(2), episodes)


def test_episodes_of_unlike_length_are_found():
  """Every time, though the lengths are by chance."""
  for _ in range(5):
    found = examined('chance', action_repeat=1)
    (sentence,) = [x for x in found if 'length' in x]
    assert sentence.endswith(
      'agent steps: draw all that is random from the seed'
    )
    assert not any('give another' in x for x in found)


def cut(episode, length, ended=True):
  """The beginning of an episode, which ends there or goes on."""
  begun = {key: value[:length].copy() for key, value in episode.items()}
  begun['is_last'][-1] = ended
  return begun


@pytest.mark.parametrize(
  'first, again, unlike',
  [
    ((9, True), (9, True), False),
    ((9, True), (7, True), True),
    ((7, True), (9, True), True),
    ((9, True), (7, False), False),  # It was not played to its end.
    ((9, True), (9, False), True),
    ((7, True), (9, False), True),
    ((9, False), (7, True), True),
    ((9, False), (9, True), True),
    ((7, False), (9, True), False),
    ((7, False), (9, False), False),
  ],
)
def test_lengths_are_compared_as_far_as_both_were_played(first, again, unlike):
  episode = soundness.play(environments.make('hill'), 0)
  pair = cut(episode, *first), cut(episode, *again)
  found = soundness.differences(*pair)
  if unlike:
    steps = f'{first[0] - 1} and {again[0] - 1} agent steps'
    assert len(found) == 1 and steps in found[0]
  else:
    assert set(found) <= {'the same seed and actions give another is_last'}


def test_what_differs_before_the_end_is_named_too():
  episode = soundness.play(environments.make('hill'), 0)
  other = cut(episode, 9)
  other['reward'][3] += 1
  assert soundness.differences(episode, other)[1:] == [
    'the same seed and actions give another reward'
  ]


@pytest.mark.parametrize(
  'largest, says',
  [
    (0, 'the image never changes'),
    (1, 'no values but 0 and 1: multiply it by 255'),
    (7, 'no values but 0 to 7: to a model'),
    (8, None),
    (255, None),
  ],
)
def test_images_that_are_black_to_a_model_are_found(largest, says):
  episode = soundness.play(environments.make('hill'), 0)
  image = np.random.default_rng(0).integers(0, largest + 1, (9, 8, 8, 3))
  found = soundness.images([{**episode, 'image': image.astype(np.uint8)}])
  assert len(found) == bool(says) and all(says in x for x in found)


def test_images_of_0_to_1_are_found_where_no_spec_tells():
  assert [x for x in examined('unit_image') if 'image' in x] == [
    'the image has no values but 0 and 1: multiply it by 255'
  ]


@pytest.mark.parametrize('key', ['reward', 'position'])
def test_numbers_that_a_loss_cannot_square_are_found(key):
  env = environments.make('hill', vectors=['position'])
  episode = soundness.play(env, 0)
  other = {**episode, 'image': episode['image'] + 1}
  assert not soundness.problems([episode], episode, other)
  episode[key][7] = -1e20
  (problem,) = soundness.problems([episode], episode, other)
  assert problem.startswith(f'a number of {key} is as large as 1e+20: ')


def test_a_task_without_an_end_or_a_limit_is_found():
  for options in ({}, {'action_repeat': 300}):
    (problem,) = [x for x in examined('endless', **options) if 'ended' in x]
    assert 'after 1000 env_steps, and was cut: give the task a ste' in problem
  assert not [x for x in examined('endless', step_limit=30) if 'ended' in x]
  assert not [x for x in examined('load') if 'ended' in x]
