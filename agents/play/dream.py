"""A dream that goes on action by action: states of a model, drawn.

It starts from the last image of a few that the model has seen of a recorded
episode. From there nothing is real.
"""

import base64
import dataclasses
from typing import Any

import cv2
import ml_collections
import numpy as np
import tensorflow as tf

from worldmodels.agents.agent import WorldModelAgent
from worldmodels.agents.runs import scenes
from worldmodels.states import State
from worldmodels.states import Tensor

Episode = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Start:
  """A recorded episode to dream on from.

  Attributes:
    title: a short name.
    episode: {key: [L, ...]}.
  """

  title: str
  episode: Episode


class Dream:
  """One dream of one agent.

  Args:
    agent: restored; its model has an image.
    config: of the run.
    starts: recorded episodes, one or more.
    context: rows that the model sees before it dreams.
  """

  def __init__(
    self,
    agent: WorldModelAgent,
    config: ml_collections.ConfigDict,
    starts: list[Start],
    context: int,
  ):
    self._agent, self._config, self._starts = agent, config, starts
    self._model, self._context = agent.model, context
    self._step = tf.function(self._imagine, autograph=False)
    self._plan = tf.function(
      lambda state, seed: scenes.plan(agent, config, state, seed)[:, 0],
      autograph=False,
    )
    self._plans = True
    self._state: State = {}
    self.begin(0)

  @property
  def spec(self) -> dict[str, Any]:
    """What a page has to know: actions, and names of the starts."""
    spec = self._model.spec
    return dict(
      actions=spec.actions,
      discrete=spec.discrete,
      starts=[start.title for start in self._starts],
      task=self._config.task,
    )

  def begin(self, start: int) -> dict[str, Any]:
    """Begins anew from one of the starts; returns what is seen there."""
    self._start = start % len(self._starts)
    episode = self._starts[self._start].episode
    rows = min(self._context, len(episode['reward']))
    seen = {key: value[:rows] for key, value in episode.items()}
    posterior = scenes.observed(self._model, seen)
    self._state = tf.nest.map_structure(lambda x: x[:, -1], posterior)
    self._steps, self._return, self._alive = 0, 0.0, 1.0
    return self._shown(self._model.drawing(self._state), 0.0)

  def step(self, action: np.ndarray, draws: bool) -> dict[str, Any]:
    """Imagines a step.

    Args:
      action: float32 [A].
      draws: whether the next state is drawn, and not the mean.

    Returns:
      what is seen then, as JSON has it.
    """
    self._steps += 1
    seed = tf.constant([self._start, self._steps])
    self._state, image, reward, discount = self._step(
      self._state, tf.constant(action[None]), seed, tf.constant(draws)
    )
    # A reward counts as much as it is certain that the dream still goes on.
    self._return += self._alive * float(reward[0])
    self._alive *= float(discount[0])
    return self._shown(image, float(reward[0]))

  def suggest(self) -> list[float] | None:
    """Returns the action that the agent would take; None if it has none."""
    if not self._plans:
      return None
    seed = tf.constant([self._start, self._steps])
    try:
      action = self._plan(self._state, seed)
    except scenes.SceneError:
      self._plans = False
      return None
    return [round(float(value), 4) for value in action.numpy()[0]]

  def _imagine(
    self, state: State, action: Tensor, seed: Tensor, draws: Tensor
  ) -> tuple[State, Tensor, Tensor, Tensor]:
    model = self._model
    state = tf.cond(
      draws,
      lambda: model.step(state, action, seed),
      lambda: model.step(state, action),
    )
    drawn = model.drawing(state)
    return state, drawn, model.reward(state), model.discount(state)

  def _shown(self, image: Tensor, reward: float) -> dict[str, Any]:
    return dict(
      image=_address(image.numpy()[0]),
      start=self._start,
      step=self._steps,
      reward=_finite(reward),
      total=_finite(self._return),
      alive=_finite(self._alive),
    )


def _address(image: np.ndarray) -> str:
  """Returns an image uint8 [h, w, c] as a URL that holds it."""
  order = image[..., ::-1] if image.shape[-1] == 3 else image
  done, content = cv2.imencode('.png', order)
  if not done:
    raise OSError(f'OpenCV {cv2.__version__} cannot encode .png')
  return f'data:image/png;base64,{base64.b64encode(content).decode()}'


def _finite(value: float) -> float | None:
  return round(value, 5) if np.isfinite(value) else None
