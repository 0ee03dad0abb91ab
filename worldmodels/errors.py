"""Errors that a user reads: one line that says what is wrong and what is right.

Programs print the message of a `UserError` and end; every other error is a
fault of ours and keeps its trace.
"""

import contextlib
from collections.abc import Collection, Iterator


class UserError(Exception):
  """An error that a user can mend; the message is one line."""

  # TensorFlow, which says in the text of an error where in a converted function
  # it was, hands on as it is what has this.
  ag_pass_through = True


class OptionError(UserError, ValueError):
  """An option with a value that cannot be used.

  Args:
    option: its name, such as `bins` or, with its group, `critic.bins`.
    problem: what is wrong and what would be right, such as `is 4; it is odd`.
  """

  def __init__(self, option: str, problem: str):
    super().__init__(f'{option} {problem}')
    self.option = option
    self.problem = problem


@contextlib.contextmanager
def group(name: str) -> Iterator[None]:
  """Adds the name of a group of options to the OptionErrors raised inside."""
  try:
    yield
  except OptionError as error:
    option = f'{name}.{error.option}' if error.option else name
    raise OptionError(option, error.problem) from error


def choose(option: str, value: str, choices: Collection[str]) -> str:
  """Returns `value`, which is one of `choices`.

  Raises:
    OptionError: it is none of them.
  """
  if value not in choices:
    listed = ', '.join(choices)
    raise OptionError(option, f'is {value!r}; it is one of {listed}')
  return value
