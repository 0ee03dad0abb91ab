import numpy as np

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
