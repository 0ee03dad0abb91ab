"""Audits the model of an agent on the agent's own episodes.

Three predictions of the returns of 1 to H steps stand beside what came: those
of forecasts.py. Then the errors of single steps, and what they may add up to:
the bounds of worldmodels/simulation_lemma.py. What these assume is in ASSUMES,
for it belongs to the figures. docs/audit.md says what each figure is.
"""

from collections.abc import Sequence
from typing import Any

import ml_collections
import numpy as np

from worldmodels import errors
from worldmodels import simulation_lemma
from worldmodels.agents.agent import WorldModelAgent
from worldmodels.agents.runs import forecasts
from worldmodels.agents.runs import starts
from worldmodels.agents.runs.starts import Episode
from worldmodels.world_model import WorldModel

Values = dict[str, Any]

ASSUMES = (
  'the filtered state holds all of the past that matters',
  'errors of single steps are as large in the states that the model comes to '
  'as they are on average in these episodes, and independent of each other',
  'the total variation of a step is at most what its KL allows, from the state '
  'filtered with what was seen to the predicted one: too much wherever that '
  'tells what nobody could have predicted',
  'rewards lie between the least and the largest that was seen or predicted',
)

# Of recorded actions, which answered what was seen.
BLIND = 'the actions would have been the same whatever had come of them'

_DIGITS = 6  # significant ones, of what is printed


class AuditError(errors.UserError, ValueError):
  """A model that cannot be audited; the message is one line."""


def measure(
  agent: WorldModelAgent,
  config: ml_collections.ConfigDict,
  episodes: Sequence[Episode],
  *,
  context: int,
  horizon: int,
  count: int,
  dreams: int,
  gamma: float,
  seed: int = 0,
  own: bool = True,
) -> Values:
  """Measures predictions against what came, and bounds of their difference.

  Args:
    agent: who acts, with its model.
    config: of the run; `acting` says which of planner and actor acts.
    episodes: {key: [L, ...]}, without noise.
    context: rows that are observed before the first prediction.
    horizon: H, agent_steps.
    count: of starts of predictions, at most.
    dreams: draws of the states that a prediction is averaged over; where a
      planner acts in the model a single one, as it plans at each step.
    gamma: discount per agent_step.
    seed: of the draws.
    own: whether the agent as it is played the episodes. Else only what is said
      of the actions that were taken can be held to what came of them.

  Raises:
    UserError: the episodes are too short, the agent has no model, or what that
      predicts is not finite.
  """
  planning = forecasts.plans(agent, config)
  model = agent.model
  chosen, divergence, ending = starts.choose(
    model, episodes, context=context, horizon=horizon, count=count
  )
  options = dict(gamma=gamma, dreams=dreams, seed=seed)
  real = _returns(chosen, gamma)
  replayed, reward, distance = forecasts.replayed(model, chosen, **options)
  predicted, planned, rewards = None, None, [reward, chosen.reward]
  if own and planning:
    planned = forecasts.planned(agent, chosen, **options)
    options['dreams'] = 1
  if own:
    predicted, imagined = forecasts.acted(
      agent, chosen, planning=planning, **options
    )
    rewards.append(imagined)
  held = replayed if predicted is None else predicted
  for value in (replayed, held, divergence, ending):
    if not np.isfinite(value).all():
      raise AuditError('what the model predicts is not finite')
  if ending.any() or not chosen.discount.all():
    rewards.append(np.zeros(1))  # Of what follows an end.
  off = np.abs(reward - chosen.reward)
  gap, error = _gap(held - real, chosen.episode)
  return dict(
    starts=len(real),
    gamma=gamma,
    gap_of='actions' if predicted is None else 'agent',
    real=_each(real.mean(0)),
    predicted=None if predicted is None else _each(predicted.mean(0)),
    replayed=_each(replayed.mean(0)),
    planned=None if planned is None else _each(planned.mean(0)),
    gap=_each(gap),
    gap_error=None if error is None else _each(error),
    rms_error=_each(np.sqrt(np.square(held - real).mean(0))),
    reward_error=_each(_by_step(off, chosen.there)),
    divergence=_each(_by_step(distance, chosen.there)),
    step_divergence=_short(divergence.mean()),
    **_bounds(off, _apart(model, divergence, ending), rewards, gamma),
    assumes=[*ASSUMES, *(() if own else (BLIND,))],
  )


def _returns(chosen: starts.Starts, gamma: float) -> np.ndarray:
  """Returns what came of the first 1 to H steps, [N, H]."""
  weight = np.cumprod(gamma * chosen.discount, 1)
  weight = np.concatenate([np.ones_like(weight[:, :1]), weight[:, :-1]], 1)
  return np.cumsum(weight * chosen.reward, 1)


def _gap(
  difference: np.ndarray, episode: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
  """Returns the size of a mean difference [N, H], and its standard error.

  Starts in one episode are alike, so that the error is that of the means of
  episodes; None of a single one.
  """
  means = np.stack(
    [difference[episode == x].mean(0) for x in np.unique(episode)]
  )
  error = None
  if len(means) > 1:
    error = means.std(0, ddof=1) / np.sqrt(len(means))
  return np.abs(difference.mean(0)), error


def _by_step(values: np.ndarray, there: np.ndarray) -> np.ndarray:
  """Returns means [H] of values [N, H] where there was a step; else 0."""
  return (values * there).sum(0) / np.maximum(there.sum(0), 1)


def _apart(
  model: WorldModel, divergence: np.ndarray, ending: np.ndarray
) -> np.ndarray:
  """Bounds the total variation of single steps, [...].

  The end of an episode is a step to a state without reward, for good. Points
  that differ have nothing in common.

  Args:
    model: a WorldModel.
    divergence: KL in nats, [...].
    ending: absolute error of the discount, [...].
  """
  if model.stochastic:
    apart = simulation_lemma.variation(divergence)
  else:
    apart = (divergence > 0).astype(np.float64)
  return np.minimum(apart + ending, 1.0)


def _bounds(
  off: np.ndarray,
  apart: np.ndarray,
  rewards: Sequence[np.ndarray],
  gamma: float,
) -> Values:
  """Returns errors of single steps, and the bounds by them.

  Args:
    off: errors of predicted rewards, [N, H], the first ones of single steps.
    apart: total variations of single steps, [...].
    rewards: all that were seen or predicted.
    gamma: discount per step.
  """
  width = float(np.ptp(np.concatenate([np.ravel(x) for x in rewards])))
  given = dict(reward=float(off[:, 0].mean()), width=width)
  transition, horizon = float(apart.mean()), off.shape[1]
  classic, tight, largest = simulation_lemma.by_horizon(
    horizon, gamma, transition, **given
  )
  endless = None
  if gamma < 1:
    endless = dict(
      classic=_short(simulation_lemma.classic(gamma, transition, **given)),
      tight=_short(simulation_lemma.tight(gamma, transition, **given)),
      largest=_short(width / (1 - gamma)),
    )
  return dict(
    transition_error=_short(transition),
    largest_transition_error=_short(apart.max()),
    reward_width=_short(width),
    classic=_each(classic),
    tight=_each(tight),
    largest=_each(largest),
    endless=endless,
  )


def _each(values: np.ndarray) -> list[float]:
  return [_short(value) for value in values]


def _short(value: float) -> float:
  return float(f'{value:.{_DIGITS}g}')
