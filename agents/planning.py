"""Planners by name: `load(name).plan` chooses actions by a score.

A planner is a file in agents/planners/; there is no list to keep.
"""

import importlib
import inspect
import pkgutil

import tensorflow as tf

from worldmodels import imagination

from . import planners


class Planning:
  """A planner with its options, in the latent space of a model.

  Args:
    discrete: the actions are one-hot vectors.
    name: of the planner.
    horizon: H, agent_steps.
    sample: states are sampled in planning; else the means.
    proposals: M, sequences of a policy among the candidates; 0 for none.
    value: the critic's value counts after the last step (TD-MPC2).
    gamma: discount per step.
    **options: of planners; each is given those that its `plan` names.
  """

  def __init__(self, discrete, *, name, horizon, sample, proposals=0,
               value=False, gamma=1.0, **options):
    planner = load(name)
    if discrete != getattr(planner, 'DISCRETE', False):
      raise ValueError(
          f'planner.name is {name!r}, which does not plan the task\'s '
          f'{"discrete" if discrete else "continuous"} actions')
    self._plan = planner.plan
    named = inspect.signature(self._plan).parameters
    if proposals and 'proposals' not in named:
      raise ValueError(
          f'planner.proposals is {proposals}; {name!r} takes none')
    self.horizon = horizon
    self.sample = sample
    self.proposals = proposals
    self.value = value
    self._gamma = gamma
    self._options = {
        key: value for key, value in options.items() if key in named}

  def plan(self, model, state, seeds, value=None, proposals=None, start=None):
    """Plans actions [B, H, A] from states [B, ...].

    Args:
      model: a WorldModel.
      state: where the plans start.
      seeds: int32 [2, 2], of the imagined states and of the planner.
      value: function of states [N, ...] -> [N]; None for none.
      proposals: [B, M, H, A]; None for none.
      start: actions [B, H, A] to start from; None for zeros.
    """
    score = imagination.score(
        model, state, seeds[0] if self.sample else None, self._gamma, value)
    if start is None:
      batch = tf.shape(state['deter'])[0]
      start = tf.zeros([batch, self.horizon, model.rssm.actions])
    more = {} if proposals is None else dict(proposals=proposals)
    return self._plan(score, start, seeds[1], **self._options, **more)


def names():
  """The planners there are."""
  return sorted(
      module.name for module in pkgutil.iter_modules(planners.__path__))


def load(name):
  """Returns the module of the planner called `name`."""
  if name not in names():
    raise ValueError(
        f'planner.name is {name!r}; it is one of {", ".join(names())}')
  return importlib.import_module(f'.{name}', planners.__name__)
