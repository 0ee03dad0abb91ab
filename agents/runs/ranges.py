"""Ranges of the values that a config's key may have."""

import dataclasses
import math

from worldmodels import kinds

# What every file of a folder of kinds defines.
_MEMBERS = {
  'agents/': 'Agent',
  'agents/action_distributions/': 'Distribution',
  'agents/learners/': 'Learner',
  'agents/planners/': 'plan',
  'worldmodels/dynamics/': 'Dynamics',
  'worldmodels/encoders/': 'ImageEncoder',
  'worldmodels/heads/': 'Head',
}
# Of Keras, which is loaded much later.
KERAS = {
  'activations': (
    *('celu', 'elu', 'gelu', 'hard_sigmoid', 'hard_silu', 'leaky_relu'),
    *('linear', 'mish', 'relu', 'relu6', 'selu', 'sigmoid', 'silu'),
    *('softplus', 'softsign', 'swish', 'tanh'),
  ),
  'initializers': (
    *('glorot_normal', 'glorot_uniform', 'he_normal', 'he_uniform'),
    *('lecun_normal', 'lecun_uniform', 'orthogonal', 'random_normal'),
    *('random_uniform', 'truncated_normal'),
  ),
}


@dataclasses.dataclass(frozen=True)
class Interval:
  """Numbers between two ends, each of which may be left out."""

  low: float
  high: float
  with_low: bool
  with_high: bool

  def __contains__(self, value: float) -> bool:
    above = value >= self.low if self.with_low else value > self.low
    below = value <= self.high if self.with_high else value < self.high
    return above and below and math.isfinite(value)

  @property
  def written(self) -> str:
    """The interval as configs write it."""
    left, right = '[' if self.with_low else '(', ']' if self.with_high else ')'
    return f'{left}{self.low:.10g}, {self.high:.10g}{right}'

  def __str__(self) -> str:
    if self.high == math.inf:
      return f'{"at least" if self.with_low else "above"} {self.low:.10g}'
    low = f'{self.low:.10g}' if self.with_low else f'above {self.low:.10g}'
    between = ' to ' if self.with_low else ', '
    high = '' if self.with_low else 'at most '
    high = high if self.with_high else 'below '
    return f'{low}{between}{high}{self.high:.10g}'


@dataclasses.dataclass(frozen=True)
class Choices:
  """Values by name, some of which stand for several."""

  listed: tuple[str, ...]

  def __contains__(self, value: object) -> bool:
    if self._open and ':' in str(value):
      return True
    return str(value) in self._names()

  @property
  def written(self) -> str:
    """The choices as configs write them, with the kinds of each folder."""
    more = ['module:name'] if self._open else []
    return f'{{{", ".join([*self._names(), *more])}}}'

  def __str__(self) -> str:
    more = ', or module:name' if self._open else ''
    return f'one of {", ".join(self._names())}{more}'

  @property
  def _open(self) -> bool:
    return any(name.endswith('/') for name in self.listed)

  def _names(self) -> list[str]:
    found = []
    for name in self.listed:
      if name.endswith('/'):
        package = name.strip('/').replace('/', '.')
        if not name.startswith('worldmodels/'):
          package = f'worldmodels.{package}'
        found += kinds.names(package, _MEMBERS[name])
      else:
        found += KERAS.get(name, (name,))
    return found
