"""The flags that give a trained model another goal: --objective and its kin.

  --objective=my_lab.goals:left   a function of the user's
  --goal=image.png                to see this image
  --linear=position.0:-1          a weighted sum of decoded vectors

What can be known of them without TensorFlow is known before it is started.
"""

import dataclasses
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import ml_collections
from absl import flags

from worldmodels import errors
from worldmodels import kinds
from worldmodels import users
from worldmodels.agents.runs import goal_image
from worldmodels.spec import Spec

if TYPE_CHECKING:
  from worldmodels.agents.agent import WorldModelAgent
  from worldmodels.agents.objectives import Objective
  from worldmodels.world_model import WorldModel

REWARD = 'reward'
NAMES = ('objective', 'goal', 'goal_distance', 'linear')  # of the flags

_DISTANCES = ('pixels', 'features')
_TERM = re.compile(r'(.+?)(?:\.(\d+))?:([^:]+)')

# The flags are of the program that calls `define`, and shown in its help.
flags.disclaim_key_flags()


class ObjectiveFlagError(errors.UserError, ValueError):
  """A flag from which no objective can be made; the message is one line."""


@dataclasses.dataclass(frozen=True)
class Choice:
  """An objective that a user chose.

  Attributes:
    name: of it, for messages and results.
    flag: as it was given.
    make: function of the model that makes it.
  """

  name: str
  flag: str
  make: Callable[['WorldModel'], 'Objective']

  def use(self, agent: 'WorldModelAgent') -> 'Objective':
    """Makes an agent's planner climb it; returns it.

    Raises:
      UserError: it does not suit the model.
    """
    from worldmodels.agents import objectives

    try:
      made = self.make(agent.model)
    except objectives.ObjectiveError as error:
      raise ObjectiveFlagError(f'{self.flag}: {error}') from error
    objectives.use(agent, made, self.name)
    return made


def define() -> Callable[[ml_collections.ConfigDict, Spec], Choice | None]:
  """Defines the flags; returns a function of a run's config and spec.

  It returns the objective that was chosen, or None.
  """
  objective = flags.DEFINE_string(
    'objective',
    None,
    'What to plan for: `reward`, or module:function of (states, decoded).',
  )
  goal = flags.DEFINE_string('goal', None, 'Image to plan for.')
  distance = flags.DEFINE_enum(
    'goal_distance', _DISTANCES[0], _DISTANCES, 'In what the goal is compared.'
  )
  linear = flags.DEFINE_string(
    'linear',
    None,
    'Weights of decoded vectors to plan for, as in position.0:-1,velocity:0.1.',
  )

  return lambda config, spec: choice(
    config,
    spec,
    objective=objective.value,
    goal=goal.value,
    distance=distance.value if distance.present else None,
    linear=linear.value,
  )


def choice(
  config: ml_collections.ConfigDict,
  spec: Spec,
  *,
  objective: str | None = None,
  goal: str | None = None,
  distance: str | None = None,
  linear: str | None = None,
) -> Choice | None:
  """Returns the objective that the values of the flags choose, or None.

  Raises:
    UserError: there is no such objective, or nobody would plan for it.
  """
  values = {'objective': objective, 'goal': goal, 'linear': linear}
  given = [f'--{name}={value}' for name, value in values.items() if value]
  if len(given) > 1:
    raise ObjectiveFlagError(
      f'{" and ".join(given)} are objectives: give one of them'
    )
  if distance and not goal:
    raise ObjectiveFlagError('--goal_distance needs a --goal')
  if not given:
    return None
  (flag,) = given
  _check_plans(config, flag)
  if goal:
    make = _goal(flag, goal, distance or _DISTANCES[0], spec)
    return Choice(f'goal {goal}', flag, make)
  if linear:
    return Choice(f'linear {linear}', flag, _linear(flag, linear, config, spec))
  return Choice(objective, flag, _users(flag, objective))


def _check_plans(config: ml_collections.ConfigDict, name: str) -> None:
  """Raises ObjectiveFlagError where nobody would plan for an objective."""
  if config.get('planner') is None:
    raise ObjectiveFlagError(f'{name} needs a planner; this run has none')
  if config.get('acting', 'planner') != 'planner':
    raise ObjectiveFlagError(
      f'{name} needs a planner, and the actor of this run acts, which has '
      'learned the reward of the task alone: add --config.acting=planner'
    )


def _users(name: str, kind: str) -> Callable[['WorldModel'], 'Objective']:
  """Finds a function of the user's, or the reward of the model."""
  if kind == REWARD:

    def reward_of(model: 'WorldModel') -> 'Objective':
      from worldmodels.agents import objectives

      del model
      return objectives.reward

    return reward_of
  module, _, function = kind.partition(':')
  if not (module and function):
    raise ObjectiveFlagError(f'{name}: it is reward, or module:function')
  try:
    found = getattr(kinds.import_users(module), function, None)
  except errors.UserError as error:
    raise ObjectiveFlagError(f'{name}: {error}') from error
  except (Exception, SystemExit) as error:  # noqa: BLE001 (of the user's module)
    raise ObjectiveFlagError(
      f'{name}: module {module} {users.raises(error)}'
    ) from error
  if not callable(found):
    raise ObjectiveFlagError(
      f'{name}: module {module} has no function {function!r}'
    )
  return lambda model: found


def _goal(
  name: str, file: str, distance: str, spec: Spec
) -> Callable[['WorldModel'], 'Objective']:
  """Reads a goal, which has to be as the images of the task are."""
  if spec.image is None:
    raise ObjectiveFlagError(f'{name}: the task shows no image')
  image = goal_image.read(file, spec.image[2])
  if image.shape != spec.image:
    raise ObjectiveFlagError(
      f'{name} is {_size(image.shape)}; the images of the task are '
      f'{_size(spec.image)}'
    )

  def make(model: 'WorldModel') -> 'Objective':
    from worldmodels.agents import goals

    return goals.goal(model, image, distance)

  return make


def _linear(
  name: str, text: str, config: ml_collections.ConfigDict, spec: Spec
) -> Callable[['WorldModel'], 'Objective']:
  """Reads weights: KEY:WEIGHT, or KEY.PLACE:WEIGHT, with commas between."""
  decoded = [
    key
    for key, head in config.heads.items()
    if head.kind != 'none' and key != 'image'
  ]
  places: dict[str, dict[int | None, float]] = {}
  for term in text.split(','):
    key, place, weight = _term(name, term.strip())
    if key not in decoded:
      raise ObjectiveFlagError(
        f'{name}: this model decodes no {key!r} that could be weighed; it '
        f'decodes {", ".join(decoded)}: train it with a head of that name'
      )
    there = places.setdefault(key, {})
    if place in there or None in there or (place is None and there):
      raise ObjectiveFlagError(f'{name} weighs {key} twice')
    there[place] = weight
  weights = {
    key: _vector(name, key, by_place, spec) for key, by_place in places.items()
  }

  def make(model: 'WorldModel') -> 'Objective':
    from worldmodels.agents import goals

    return goals.linear(model, weights)

  return make


def _term(name: str, term: str) -> tuple[str, int | None, float]:
  """Returns (key, place or None, weight) of one term."""
  match = _TERM.fullmatch(term)
  try:
    weight = float(match[3]) if match else math.nan
  except ValueError:
    weight = math.nan
  if not math.isfinite(weight):
    raise ObjectiveFlagError(
      f'{name}: {term!r} is no weight; they are written position.0:-1, or '
      'position:-1 for all numbers of it'
    )
  return match[1], None if match[2] is None else int(match[2]), weight


def _vector(
  name: str, key: str, by_place: dict[int | None, float], spec: Spec
) -> float | list[float]:
  """Returns the weight of each number of a key, or one for all of them."""
  if None in by_place:
    return by_place[None]
  size = spec.vectors.get(key)
  if size is None:
    raise ObjectiveFlagError(f'{name}: {key} is one number: {key}:-1')
  if max(by_place) >= size:
    raise ObjectiveFlagError(
      f'{name}: {key} has {size} numbers, the last of which is {key}.{size - 1}'
    )
  return [by_place.get(place, 0.0) for place in range(size)]


def _size(shape: tuple[int, ...] | list[int]) -> str:
  return ' x '.join(map(str, shape))
