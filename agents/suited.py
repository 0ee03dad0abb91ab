"""Which kinds suit a task: what `auto` in a config stands for.

Without TensorFlow, so that it is known before anything is built.
"""

AUTO = 'auto'


def planner(kind: str, discrete: bool) -> str:
  """Returns the kind of planner; `auto` is chosen by the actions.

  Args:
    kind: of the config.
    discrete: whether the actions of the task are one-hot.
  """
  if kind != AUTO:
    return kind
  return 'categorical_cem' if discrete else 'cem'


def distribution(kind: str, continuous: str, discrete: bool) -> str:
  """Returns the kind of an actor's distribution over actions.

  Args:
    kind: of the config.
    continuous: what `auto` is where the actions are not discrete.
    discrete: whether the actions of the task are one-hot.
  """
  if kind != AUTO:
    return kind
  return 'one_hot' if discrete else continuous


def discount(kind: str, ends_early: bool) -> str:
  """Returns the kind of the discount head.

  Args:
    kind: of the config.
    ends_early: whether episodes of the task may end before their time.
  """
  if kind != AUTO:
    return kind
  return 'bernoulli' if ends_early else 'none'
