import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents import agent
from worldmodels.agents import learning_agent
from worldmodels.agents.runs import build
from worldmodels.configs import dreamer
from worldmodels.spec import Spec


def make(average):
  config = dreamer.get_config('debug')
  config.optimizer.average = average
  config.learner.actor.optimizer.average = average
  return build.agent(config, Spec(actions=2))


def shift(variables, by):
  for variable in variables:
    variable.assign(variable.numpy() + by)


@pytest.mark.parametrize('average', [0.0, 0.9])
def test_an_actor_copies_what_its_learner_learned_or_its_average(average):
  learner, actor = make(average), make(average)
  for layer, _ in learner.optimized:
    shift(layer.variables, 1.0)
  shift(learner.extra_variables, 2)
  for _, optimizer in learner.optimized:
    if average:
      shift(optimizer.averages, 5.0)
  actor.copy_from(learner)
  for (mine, _), (theirs, optimizer) in zip(actor.optimized, learner.optimized):
    for variable, value in zip(
      mine.trainable_variables, optimizer.averages, strict=True
    ):
      np.testing.assert_array_equal(variable, value, err_msg=variable.path)
    trained = {id(x) for x in mine.trainable_variables}
    for variable, value in zip(mine.variables, theirs.variables, strict=True):
      if id(variable) not in trained:  # There is no average of it.
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)
  for mine, theirs in zip(
    actor.extra_variables, learner.extra_variables, strict=True
  ):
    np.testing.assert_array_equal(mine, theirs, err_msg=mine.path)
  # The learner itself goes on from where it was.
  before = [x.numpy() for x in learner.model.trainable_variables]
  learner.use_averages()
  same = [
    np.array_equal(x, y)
    for x, y in zip(learner.model.trainable_variables, before)
  ]
  assert all(same) == (not average)


@pytest.mark.parametrize('average', [0.0, 0.9])
def test_it_is_known_whether_an_average_acts(average):
  assert make(average).acts_on_averages == bool(average)


class Bare(agent.WorldModelAgent):
  """An agent with nothing but what the base class offers."""

  def __init__(self):
    spec = Spec(actions=2)
    config = build.chosen(dreamer.get_config('debug'), spec).to_dict()
    parts = ('encoder', 'dynamics', 'heads', 'kl', 'overshooting')
    super().__init__(
      spec=spec,
      model={part: config[part] for part in parts},
      optimizer=config['optimizer'],
      sample_states=False,
      name='bare',
    )


def test_what_an_agent_has_without_saying_so():
  made = Bare()
  assert made.optimized == [(made.model, made.optimizer)]
  assert made.extra_variables == []
  assert made.diagnose({}, 3, tf.constant([1, 2])) == ({}, None)
  assert made.skipped == (0, 0)
  assert {id(x) for x in made.variables} <= {
    id(x) for x in made.state_variables
  }


def test_what_a_kind_of_agent_has_to_offer():
  made = Bare()
  with pytest.raises(NotImplementedError):
    made.policy({}, made.initial(1), tf.constant(True), tf.constant([1, 2]))
  with pytest.raises(NotImplementedError):
    made.train({}, tf.constant([1, 2]))


def test_what_an_agent_without_a_model_has_to_offer():
  made = learning_agent.LearningAgent(spec=Spec(actions=2), name='thinker')
  assert made.spec.actions == 2 and made.extra_variables == []
  assert made.model is None and made.planner is None
  assert made.diagnose({}, 3, tf.constant([1, 2])) == ({}, None)
  for ask in (
    lambda: made.optimized,
    lambda: made.initial(1),
    lambda: made.policy({}, {}, tf.constant(True), tf.constant([1, 2])),
    lambda: made.train({}, tf.constant([1, 2])),
    lambda: made.fit_statistics(tf.zeros([0], tf.uint8)),
  ):
    with pytest.raises(NotImplementedError):
      ask()
