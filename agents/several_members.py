"""What of a planner needs dynamics of several members, and which dynamics do.

Asked of a config before anything is built, without TensorFlow. Of dynamics of
the user's it is asked once more where their model is there: agent.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from worldmodels import kinds

_PACKAGE, _MEMBER = 'worldmodels.dynamics', 'Dynamics'
# What a kind of several takes.
_OPTION = 'members'


def of(dynamics: Mapping[str, Any]) -> int | None:
  """Returns how many members dynamics have; None where only a model knows.

  Args:
    dynamics: the group of the config.
  """
  kind = dynamics['kind']
  if kind not in kinds.names(_PACKAGE, _MEMBER):
    return None
  return dynamics.get(_OPTION) if _takes(kind) else 1


def lacking(
  planner: Mapping[str, Any], members: int | None, tells: bool
) -> Iterator[tuple[str, str]]:
  """Yields (option, problem) of a planner that one member is not enough for.

  Args:
    planner: the group of the config.
    members: of the dynamics; None where that is not known yet.
    tells: whether the dynamics may say how sure they are of a step.
  """
  count, moves = planner.get('particles', 1), planner.get('propagation')
  alike = members == 1 or moves in (None, 'expectation')
  if count > 1 and alike and not planner.get('sample', True):
    yield (
      'particles',
      f'is {count}, all alike: give them planner.sample=True, or several '
      f'members ({_several()}) and planner.propagation=tsinf',
    )
  if planner.get('risk') == 'disagreement' and not tells:
    yield (
      'risk',
      "is 'disagreement'; the dynamics have one member, which agrees with "
      f'itself: give them several ({_several()})',
    )


def _takes(kind: str) -> bool:
  """Returns whether a kind of the package may have several members."""
  return _OPTION in kinds.keywords(_PACKAGE, kind, _MEMBER)


def _several() -> str:
  """Says how dynamics get several members."""
  found = filter(_takes, kinds.names(_PACKAGE, _MEMBER))
  listed = ' or '.join(f'dynamics.kind={kind}' for kind in found)
  return f'{listed}, dynamics.{_OPTION} from 2'
