"""Parts of a user's that are wrong, as somebody may write them.

Each is an example of docs/extending.md with a mistake in it. What is said has
one line, names the option and, where there is one, the line of the file. Who
runs the examples without a mistake is said in tests/docs_examples_test.py.
"""

import re
import sys
import types

import docs_project
import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels import kinds
from worldmodels.agents import learner
from worldmodels.agents.planner import Planner
from worldmodels.agents.runs import build
from worldmodels.agents.runs import demands
from worldmodels.agents.runs import trial
from worldmodels.configs import planet
from worldmodels.problem import Plan
from worldmodels.spec import Spec

ONE = Spec(actions=1)
END = 'return Plan(tf.clip_by_value(mean, -1.0, 1.0))'


@pytest.fixture(scope='module')
def project(tmp_path_factory):
  """The root of the project of the docs, whose modules can be imported."""
  folder = tmp_path_factory.mktemp('project')
  docs_project.write(folder)
  with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(folder)
    patch.chdir(folder)
    yield folder
    docs_project.forget()


@pytest.fixture
def mistake(project):
  """A function that writes a file with something in it replaced."""
  written = []

  def write(name, *swaps):
    text = (project / 'my_lab' / f'{name}.py').read_text()
    for before, after in swaps:
      assert before in text
      text = text.replace(before, after)
    (project / 'my_lab' / f'wrong_{len(written)}.py').write_text(text)
    written.append(f'my_lab.wrong_{len(written)}')
    return written[-1]

  yield write
  for name in written:
    sys.modules.pop(name, None)


def agent(option, kind, configs=planet):
  """Makes the agent of a run, whose option has that kind."""
  config = configs.get_config('debug')
  config.update_from_flattened_dict({option: kind})
  return build.learning_agent(config, ONE)


@pytest.mark.parametrize(
  'option,name,member,swap,says',
  [
    # Found before anything is planned, and so cheap.
    (
      *('planner.kind', 'mppi', 'plan', ('problem, seed, *', 'problem, *')),
      'which is no plan(problem, seed, *, ...): too many positional arguments',
    ),
    (
      *('encoder.kind', 'patches', 'ImageEncoder'),
      ('(embed, tf.float32)', '(embed, tf.float16)'),
      'whose result for pixels [2, 64, 64, 3] is float16 [2, 512]; it is '
      'float32 [2, 512]',
    ),
    (
      *('encoder.kind', 'patches', 'ImageEncoder'),
      (
        'embed = tf.reshape(self._patches(image), [-1, self.embed])',
        'embed = self._patches(image)',
      ),
      'whose result for pixels [2, 64, 64, 3] is float32 [2, 8, 8, 8]; it is '
      'float32 [2, 512]',
    ),
    (
      *('encoder.kind', 'patches', 'ImageEncoder'),
      ('    self._patches.build((None, *shape))\n', ''),
      'with which 2 variables are made when a layer is first called',
    ),
    (
      *('dynamics.kind', 'residual', 'Dynamics'),
      ('def divergence(', 'def distance('),
      "which has no method 'divergence'",
    ),
    (
      *('dynamics.kind', 'residual', 'Dynamics'),
      ("return {'code': code + self", "return {'node': code + self"),
      "which raises KeyError: 'code' (my_lab/",
    ),
    (
      *('dynamics.kind', 'residual', 'Dynamics'),
      ('tf.reduce_sum(distance, -1)', 'distance'),
      'whose divergence is float32 [2, 24]; it is float32 [2]',
    ),
    (
      *('heads.reward.kind', 'laplace', 'Head'),
      (
        'return tf.reshape(self._mlp(features), shape)',
        'return self._mlp(features)',
      ),
      'whose mean is float32 [2, 3, 1]; it is float32 [2, 3]',
    ),
    (
      *('heads.reward.kind', 'laplace', 'Head'),
      ('tfd.Laplace', 'tdf.Laplace'),
      "which raises NameError: name 'tdf' is not defined (my_lab/",
    ),
    (
      *('agent.kind', 'warm', 'Agent'),
      ('super().initial(count)', 'super().initial()'),
      'which raises TypeError: ',
    ),
    # In a graph.
    (
      *('planner.kind', 'mppi', 'plan', (END, 'return Plan(mean[:, 0])')),
      'which returns actions float32 (1, 1); they are float32 [B, H, A], here '
      '[B, 4, 1]',
    ),
    (
      *('planner.kind', 'mppi', 'plan', (END, 'raise KeyError("gone")')),
      "which raises KeyError: 'gone' (my_lab/",
    ),
    (
      *(
        'planner.kind',
        'mppi',
        'plan',
        (END, f'if mean[0, 0, 0] < 2:\n    {END}'),
      ),
      'which raises OperatorNotAllowedInGraphError: ',
    ),
  ],
)
def test_a_mistake_is_one_line(mistake, option, name, member, swap, says):
  kind = f'{mistake(name, swap)}:{member}'
  with pytest.raises(build.ConfigError) as caught:
    agent(option, kind)
  found = str(caught.value)
  assert found.startswith(f'{option} is {kind!r}, ')
  assert says in found, found
  assert '\n' not in found and len(found) < 400


TWICE = """
@tf.function(autograph=True)  # As by itself, but for tests (conftest.py).
def twice(x):
  for _ in tf.range(2):
    if tf.reduce_sum(x) < 9.0:
      x += 1.0
  return x


"""


def test_a_function_of_its_own_may_be_translated(mistake):
  """As the docs say: AutoGraph is for who asks for it."""
  swaps = (
    (END, f'mean = twice(mean)\n  {END}'),
    ('\ndef plan(', TWICE + 'def plan('),
  )
  agent('planner.kind', f'{mistake("mppi", *swaps)}:plan')


def test_the_distribution_of_the_docs_is_one(project):
  """What an actor asks of it; a training has their learner in its place."""
  kind = 'my_lab.beta:Distribution'
  make = kinds.find('worldmodels.agents.action_distributions', kind, '')
  outputs, seed = tf.constant([[0.3, -2.0, 4.0, 1.0]] * 3), tf.constant([1, 2])
  with tf.GradientTape() as tape:
    tape.watch(outputs)
    found = make(outputs)
    draw = found.sample(seed)
  assert np.abs(tape.gradient(draw, outputs)).min() > 0
  for action in (draw, found.mode(seed)):
    assert action.shape == [3, 2] and np.abs(action).max() < 1
    assert found.log_prob(action).shape == found.entropy(seed).shape == [3]
  # A density: it sums to 1 over one of the actions, whatever the other is.
  one = make(tf.constant([[0.3, 4.0]]))
  grid = tf.linspace(-0.9995, 0.9995, 2000)[:, None]
  total = tf.reduce_sum(tf.exp(one.log_prob(grid))) * 0.001
  np.testing.assert_allclose(total, 1.0, atol=0.01)


def test_a_config_without_a_users_kinds_is_not_tried(monkeypatch):
  def forbidden(*arguments):
    raise AssertionError

  monkeypatch.setattr(trial, '_Trial', forbidden)
  trial.check(build.agent(planet.get_config('debug'), ONE), planet.get_config())


# --------------------------------------------------------------- demands ----


@pytest.fixture
def parts():
  """What is asked of a planner and an encoder, of a task with two actions."""
  config = planet.get_config('debug')
  config.planner.kind, config.encoder.kind = f'{__name__}:plan', 'my_lab.x:Y'
  return demands.Parts(config, Spec(actions=2))


def says(found):
  """What is raised inside has to match."""
  return pytest.raises(errors.OptionError, match=re.escape(found))


def test_the_users_kinds_are_those_with_a_module(parts):
  assert parts.kinds == {
    'encoder.kind': 'my_lab.x:Y',
    'planner.kind': f'{__name__}:plan',
  }


def test_numbers_are_held_to_dtype_shape_and_being_finite(parts):
  parts.check('encoder.kind', 'x', tf.zeros([2, 3]), [2, 3])
  for value, found in (
    (tf.zeros([3, 2]), 'whose x is float32 [3, 2]; it is float32 [2, 3]'),
    (tf.zeros([2, 3], tf.float16), 'whose x is float16 [2, 3]'),
    ([0.0], 'whose x is list'),
    (None, 'whose x is NoneType'),
    (tf.constant([[0, 0, np.inf]] * 2), 'has numbers that are not finite'),
  ):
    with says(found):
      parts.check('encoder.kind', 'x', value, [2, 3])


def test_actions_are_held_to_their_bounds(parts):
  parts.check_action('planner.kind', 'x', tf.constant([[1.0, -1.0]]), 1)
  with says('whose x is 1.5: actions are in [-1, 1]'):
    parts.check_action('planner.kind', 'x', tf.constant([[0.0, -1.5]]), 1)
  config = planet.get_config('debug')
  config.planner.kind = 'my_lab.x:plan'
  choices = demands.Parts(config, Spec(2, discrete=True))
  choices.check_action('planner.kind', 'x', tf.constant([[0.0, 1.0]]), 1)
  for wrong in ([[0.5, 0.5]], [[1.0, 1.0]], [[0.0, 0.0]]):
    with says('whose x is not one-hot'):
      choices.check_action('planner.kind', 'x', tf.constant(wrong), 1)


def test_states_are_held_to_those_of_the_beginning(parts):
  like = {'a': tf.zeros([2, 3]), 'b': {'c': tf.zeros([2])}}
  for found, what in (
    (like, ''),
    ({'a': like['a']}, "it lacks 'b'"),
    (like | {'z': like['a']}, "it has an unknown 'z'"),
    (like | {'b': {'c': tf.zeros([3])}}, "its 'c' is float32 [3], not float32"),
    (like | {'b': like['a']}, "its 'b' is a "),
    (None, 'it is a NoneType, not a dict'),
  ):
    if not what:
      parts.check_state('encoder.kind', 'step', found, like, 2)
      continue
    with says(f'whose step returns another state than initial: {what}'):
      parts.check_state('encoder.kind', 'step', found, like)
  with says('for 5 members a state that is not of tensors [5, ...]'):
    parts.check_state('encoder.kind', 'step', like, like, 5)


def test_arguments_are_counted_in_graphs_as_well(parts):
  @tf.function
  def policy(observation, state):
    raise NotImplementedError

  parts.check_signature('planner.kind', 'policy', policy, 2)
  with says('whose policy takes other arguments: too many positional'):
    parts.check_signature('planner.kind', 'policy', policy, 4)
  # That of the package is what it is.
  parts.check_signature('agent.kind', 'policy', policy, 4)


def plan(fault):
  raise fault


def test_the_part_in_whose_file_it_was_is_to_blame(parts):
  with says(f"planner.kind is '{__name__}:plan', which raises KeyError: 'x'"):
    with parts.explained('encoder.kind', 'planner.kind'):
      plan(KeyError('x'))
  # Errors that are one line already stay, and so does one of the package.
  with says('rate is 3'), parts.explained('planner.kind'):
    plan(errors.OptionError('rate', 'is 3'))
  with pytest.raises(KeyError), parts.explained('dynamics.kind'):
    plan(KeyError('x'))
  with pytest.raises(MemoryError), parts.explained():
    plan(MemoryError())


def test_figures_of_an_update_are_a_dict():
  assert learner.figures({'loss': 1.0}) == {'loss': 1.0}
  with says('learner.kind is one whose update returns a float'):
    learner.figures(3.0)


def test_what_a_planner_returns_is_a_plan():
  options = dict(iterations=1, candidates=2, elites=1)
  made = Planner(
    Spec(actions=2), kind='cem', horizon=3, sample=False, **options
  )
  world = types.SimpleNamespace(spec=Spec(actions=2), reward=None)

  def plan(found):
    made._plan = lambda problem, seed: found
    return made.plan(world, {'x': tf.zeros([1, 4])}, tf.zeros([2, 2], tf.int32))

  right = Plan(tf.zeros([1, 3, 2]))
  assert plan(right) is right
  # A search may plan fewer steps than it was asked for.
  assert plan(Plan(tf.zeros([1, 1, 2]))).actions.shape == [1, 1, 2]
  for found, problem in (
    (None, 'returns a NoneType, not a Plan'),
    (right.actions, 'returns a EagerTensor, not a Plan'),
    (Plan([0.0]), 'returns a Plan whose actions are a list, not a tensor'),
    (Plan(tf.zeros([1, 4, 2])), 'returns actions float32 (1, 4, 2); they are'),
    (Plan(tf.zeros([1, 3, 1])), 'float32 [B, H, A], here [B, 3, 2]'),
    (Plan(tf.zeros([3, 2])), 'returns actions float32 (3, 2); they are'),
    (Plan(tf.zeros([1, 3, 2], tf.int32)), 'returns actions int32 (1, 3, 2)'),
  ):
    with says(problem):
      plan(found)
