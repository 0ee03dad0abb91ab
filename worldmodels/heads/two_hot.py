"""An MLP to probabilities of numbers at exponential distances (DreamerV3)."""

from typing import Any

import tensorflow as tf

from worldmodels import distributions
from worldmodels import errors
from worldmodels import head
from worldmodels.states import Tensor


class Head(head.MLPHead):
  """An MLP to probabilities of numbers at exponential distances.

  The last layer starts at zero, so every mean starts at 0.

  Args:
    features_size: F.
    shape: of one step of the key: ().
    bins: K, odd, so that 0 is one of the numbers.
    limit: the largest symlog; the numbers are -/+ symexp(limit) and between.
    **kwargs: of the MLP, and name.
  """

  def __init__(
    self,
    features_size: int,
    *,
    shape: tuple[int, ...] = (),
    bins: int = 255,
    limit: float = 20.0,
    **kwargs: Any,
  ):
    head.check_number('two_hot', shape)
    if bins < 3 or bins % 2 == 0:
      raise errors.OptionError('bins', f'is {bins}; it is odd and at least 3')
    super().__init__(features_size, bins, **kwargs)
    self._bins = distributions.exponential_bins(bins, limit)
    for variable in self._mlp.variables[-2:]:
      variable.assign(tf.zeros_like(variable))

  def call(self, features: Tensor) -> Tensor:
    """Maps [..., F] -> logits [..., K]."""
    return self._mlp(features)

  def distribution(self, outputs: Tensor) -> head.Distribution:
    """Maps logits [..., K] to a distribution over numbers."""
    return distributions.TwoHot(outputs, self._bins)
