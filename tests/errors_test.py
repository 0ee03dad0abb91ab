import pytest

from worldmodels import errors


def test_an_option_error_says_the_option_and_is_for_the_user():
  error = errors.OptionError('bins', 'is 4; it is odd')
  assert str(error) == 'bins is 4; it is odd'
  assert (error.option, error.problem) == ('bins', 'is 4; it is odd')
  assert isinstance(error, errors.UserError)
  assert isinstance(error, ValueError)


@pytest.mark.parametrize(
  'option,golden',
  [
    ('kind', 'learner.critic.kind is odd'),
    # The whole group is wrong.
    ('', 'learner.critic is odd'),
  ],
)
def test_groups_add_their_names_from_the_inside_out(option, golden):
  with pytest.raises(errors.OptionError) as caught:
    with errors.group('learner'), errors.group('critic'):
      raise errors.OptionError(option, 'is odd')
  assert str(caught.value) == golden
  assert caught.value.problem == 'is odd'
  # Where it was raised is not lost.
  assert isinstance(caught.value.__cause__, errors.OptionError)


@pytest.mark.parametrize(
  'error', [KeyError('x'), ValueError('y'), errors.UserError('z')]
)
def test_other_errors_pass_a_group_as_they_are(error):
  with pytest.raises(type(error)) as caught, errors.group('critic'):
    raise error
  assert caught.value is error


def test_a_group_without_an_error_does_nothing():
  with errors.group('critic'):
    found = 1
  assert found == 1


def test_choose_returns_what_can_be_chosen():
  assert errors.choose('cell', 'gru', ('gru', 'lstm')) == 'gru'
  assert errors.choose('cell', 'gru', {'gru': 1}) == 'gru'


def test_choose_names_the_option_and_lists_the_choices():
  with pytest.raises(errors.OptionError) as caught:
    errors.choose('cell', 'gur', ('gru', 'lstm'))
  assert str(caught.value) == "cell is 'gur'; it is one of gru, lstm"
