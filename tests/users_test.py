"""What code of a user's raises, in one line."""

import pathlib
import re
import textwrap

import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels import kinds
from worldmodels import users

HERE = pathlib.Path(__file__).name


def raised(function, *arguments):
  """Returns what a function raises."""
  with pytest.raises(Exception) as caught:  # noqa: B017 (of any kind)
    function(*arguments)
  return caught.value


def fail():
  raise ValueError('two\nlines')


def test_error_and_place_are_in_one_line():
  found = users.raises(raised(fail))
  line = fail.__code__.co_firstlineno + 1
  what = re.escape('raises ValueError: two lines')
  assert re.fullmatch(rf'{what} \(.*{HERE}, line {line}\)', found), found


def test_the_innermost_line_of_the_users_counts():
  """That of the package or of a library in which it came to be does not."""

  def ask():
    return kinds.source('json', 'x')

  file, number = users.innermost(raised(ask))
  assert pathlib.Path(file).name == HERE
  assert number == ask.__code__.co_firstlineno + 1
  assert users.innermost(ValueError('never raised')) is None
  assert users.place(ValueError('never raised')) == ''


@pytest.mark.parametrize(
  'file', [kinds.__file__, re.__file__, tf.__file__, '<string>', '/gone.py']
)
def test_code_of_others_is_not_the_users(file):
  assert not users.is_users(file)
  assert users.is_users(__file__)


def test_a_method_that_only_the_base_has_is_missing():
  def act(self):
    raise NotImplementedError

  assert users.raises(raised(act, None)) == "has no method 'act'"
  converted = tf.function(lambda: act(None))
  assert users.raises(raised(converted)) == "has no method 'act'"


def test_lines_of_graphs_are_found(tmp_path, monkeypatch):
  (tmp_path / 'my_graph.py').write_text(
    textwrap.dedent(
      """
      import keras
      import tensorflow as tf

      class Layer(keras.layers.Layer):
        def call(self, x):
          return x + tf.ones([3])

      @tf.function
      def graph():
        return missing + 1

      @tf.function
      def infinite(x):
        return tf.debugging.check_numerics(1.0 / x, 'the score')
      """
    )
  )
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.chdir(tmp_path)
  module = kinds.import_users('my_graph')
  assert users.raises(raised(module.graph)) == (
    "raises NameError: name 'missing' is not defined (my_graph.py, line 11)"
  )
  found = users.raises(raised(module.Layer(), tf.ones([2])))
  assert found.startswith('raises InvalidArgumentError: ')
  assert 'Incompatible shapes: [2] vs. [3]' in found
  assert found.endswith('(my_graph.py, line 7)') and '\x1b' not in found
  found = users.raises(raised(module.infinite, tf.constant(0.0)))
  assert found.startswith('raises InvalidArgumentError: the score : Tensor had')
  assert '{{' not in found


def test_a_long_message_is_cut():
  assert len(users.one_line(ValueError('x' * 1000))) < 300
  assert users.one_line(ValueError()) == 'ValueError'


def test_errors_that_users_read_go_through_graphs_as_they_are():
  def refuse():
    raise errors.OptionError('rate', 'is 3')

  found = raised(tf.function(lambda: refuse()))
  assert type(found) is errors.OptionError and str(found) == 'rate is 3'
