"""How a failure is put into a message; workers_test runs the process itself."""

import pytest

from worldmodels.data import environments
from worldmodels.data import serving


class Unspeakable(Exception):
  """Cannot be put into words."""

  def __str__(self):
    raise RuntimeError


def failure(error):
  with pytest.raises(type(error)) as caught:
    raise error
  return serving._failure(caught.value)


@pytest.mark.parametrize(
  'error, message',
  [
    (ValueError('the pole broke\nin two'), 'the pole broke'),
    (ValueError('\n  first  \nsecond'), 'first'),
    (ValueError(), 'no message'),
    (ValueError('a' * 500), 'a' * 500),
    (ValueError('a' * 501), 'a' * 500 + '... (501 characters)'),
    (ValueError('a' * 501 + '\nb'), 'a' * 500 + '... (503 characters)'),
    (Unspeakable(), 'a message that cannot be read'),
  ],
)
def test_a_message_is_a_short_line(error, message):
  found = failure(error)
  assert found['message'] == message
  assert found['error'] == type(error).__name__ and not found['mendable']
  assert found['place'].startswith(__file__)


def test_what_a_user_can_mend_is_marked():
  assert failure(environments.TaskError('too small'))['mendable']
