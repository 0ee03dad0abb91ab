"""An MLP to the symlog of numbers (DreamerV3): for large ones."""

from worldmodels import distributions
from worldmodels import head
from worldmodels.heads import normal
from worldmodels.states import Tensor


class Head(normal.Head):
  """An MLP to the symlog of the numbers of its key.

  The squared error is that of symlogs, so no number is too large for it.
  """

  def mean(self, features: Tensor) -> Tensor:
    """Maps [..., F] -> [..., *shape]; symexp of the most likely symlog."""
    return distributions.symexp(self(features))

  def distribution(self, outputs: Tensor) -> head.Distribution:
    """Maps symlogs [..., *shape] to a distribution, event `shape`."""
    return distributions.Symlog(
      super().distribution(outputs), distributions.symexp(outputs)
    )
