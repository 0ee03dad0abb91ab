import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels.agents import learner
from worldmodels.configs import dreamer
from worldmodels.spec import Spec

F, SPEC, SEED = 4, Spec(actions=2), tf.constant([1, 2])


class Still(learner.Learner):
  """A learner of the user's, which acts as it is told to and never learns."""

  def __init__(self, *, features_size, spec, pace, noise=0.5):
    super().__init__(name='still')
    self.given = (features_size, spec, pace, noise)

  def act(self, features, seed, explore=True):
    assert features.shape[-1] == self.given[0]
    action = tf.fill([features.shape[0], self.given[1].actions], self.given[2])
    return action + self.given[3] if explore else action


def make(**options):
  group = {'kind': 'learner_test:Still', 'pace': 0.25} | options
  return learner.load_learner(group, F, SPEC)


def test_a_learner_of_the_users_is_given_the_options_that_it_names():
  # Those of other kinds in the same group are not for it.
  assert make(horizon=3, gamma=0.9).given == (F, SPEC, 0.25, 0.5)
  assert make(noise=0.125).given == (F, SPEC, 0.25, 0.125)


def test_what_a_learner_has_without_saying_so():
  made, features = make(), tf.random.stateless_normal([3, F], SEED)
  assert made.gamma == 1.0
  assert made.extra_variables == []
  np.testing.assert_array_equal(made.value(features), np.zeros(3))
  assert made.value(features[:, None]).shape == [3, 1]
  # A search starts from what it does without exploring.
  np.testing.assert_array_equal(made.prior(features), np.full([3, 2], 0.25))


def test_what_a_kind_of_learner_has_to_offer():
  made = learner.Learner()
  features = tf.zeros([3, F])
  for ask in (
    lambda: made.act(features, SEED),
    lambda: made.update(None, {}, {}, SEED),
    lambda: made.optimized,
  ):
    with pytest.raises(NotImplementedError):
      ask()


def test_the_group_of_a_config_makes_the_learner_of_its_kind():
  group = dreamer.get_config('debug').learner.to_dict()
  made = learner.load_learner(group, F, SPEC)
  assert isinstance(made, learner.Learner)
  assert made.gamma == group['gamma']


@pytest.mark.parametrize(
  'options,message',
  [
    (dict(kind='actor'), "^kind is 'actor'; it is one of actor_critic"),
    (dict(kind='learner_test:Quick'), "no class or function 'Quick'"),
    (dict(kind='actor_critic'), "is missing; 'actor_critic' needs it"),
  ],
)
def test_what_there_is_not_is_named(options, message):
  with pytest.raises(errors.OptionError, match=message):
    make(**options)
