"""Tries the parts of a user's, on a batch of two, before there is any work.

A kind `module:name` is code that nobody has tested. What it does is held here
to what docs/extending.md asks for. Kinds of the package have tests of their
own, so a config without any of a user's costs nothing.
"""

from typing import TYPE_CHECKING

import ml_collections
import tensorflow as tf

from worldmodels.agents.runs import demands
from worldmodels.spec import Spec
from worldmodels.world_model import WorldModel

if TYPE_CHECKING:
  from worldmodels.agents.agent import WorldModelAgent

_BATCH, _TIME = 2, 3
_SEED = (3, 5)


def check(agent: 'WorldModelAgent', config: ml_collections.ConfigDict) -> None:
  """Tries what of an agent is a user's; its weights stay as they are.

  Args:
    agent: that is about to learn.
    config: that it was made of.

  Raises:
    OptionError: a part raises or returns what it should not; the option is the
      `kind` that names it.
  """
  parts = demands.Parts(config, agent.spec)
  if not parts.kinds:
    return
  trial = _Trial(agent, parts)
  known = len(agent.state_variables)
  if isinstance(getattr(agent, 'model', None), WorldModel):
    trial.encoder()
    trial.dynamics()
    trial.heads()
    trial.check_built(known)
  trial.learner()
  trial.policy()
  trial.train(config.train)
  trial.check_built(known)


class _Trial:
  """An agent, and what in it is the user's."""

  def __init__(self, agent: 'WorldModelAgent', parts: demands.Parts):
    self._agent, self._spec, self._parts = agent, agent.spec, parts
    self._batch = _batch(agent.spec)

  # --------------------------------------------------------- of the model ----

  def encoder(self) -> None:
    """Maps pixels to embeds."""
    option, encoder = 'encoder.kind', self._agent.model.encoder
    if option not in self._parts.kinds or encoder.image_encoder is None:
      return
    image, size = self._batch['image'][:, 0], encoder.image_encoder.embed
    with self._parts.explained(option):
      found = encoder.image_encoder(self._agent.model.pixels(image))
    what = f'result for pixels {list(image.shape)}'
    self._parts.check(option, what, found, [_BATCH, size])

  def dynamics(self) -> None:
    """Filters and predicts, single steps and whole chunks."""
    option, model = 'dynamics.kind', self._agent.model
    if option not in self._parts.kinds:
      return
    size, batch = model.features_size, self._batch
    with self._parts.explained(option):
      embed = model.encoder(batch)
      first = model.initial(_BATCH)
    self._parts.check_state(option, 'initial', first, first, _BATCH)
    step = [batch[key][:, 1] for key in ('action', 'is_first')]
    with self._parts.explained(option):
      after = model.step(first, step[0])
      found = model.dynamics.observe_step(first, embed[:, 1], *step)
    if not isinstance(found, tuple) or len(found) != 2:
      raise self._parts.error(
        option, 'whose observe_step returns no pair: (posterior, prior)'
      )
    self._parts.check_state(option, 'step', after, first, _BATCH)
    self._parts.check_state(
      option, 'observe_step, its posterior,', found[0], first
    )
    self._parts.check_state(option, 'observe_step, its prior,', found[1], first)
    with self._parts.explained(option):
      features = model.features(first)
      distance = model.divergence(*found)
    self._parts.check(option, 'features', features, [_BATCH, size])
    self._parts.check(option, 'divergence', distance, [_BATCH])
    with self._parts.explained(option):
      posterior, _ = model.observe(batch, seed=tf.constant(_SEED))
      ahead = model.imagine(first, batch['action'], tf.constant(_SEED))
      many = model.features(posterior)
      model.features(ahead)
    self._parts.check(option, 'features', many, [_BATCH, _TIME, size])

  def heads(self) -> None:
    """Predicts each key that a head of the user's has."""
    model = self._agent.model
    for key in model.keys:
      option = f'heads.{key}.kind'
      if option not in self._parts.kinds:
        continue
      lead, shape = [_BATCH, _TIME], list(self._spec.shape(key))
      features = _random([*lead, model.features_size], 0.5)
      with self._parts.explained(option):
        head = model.head(key)
        found = head.mean(features)
      self._parts.check(option, 'mean', found, lead + shape)
      with self._parts.explained(option):
        found = head.loss(features, model.target(self._batch, key))
      self._parts.check(option, 'loss', found, lead)

  # --------------------------------------------------------- of the agent ----

  def learner(self) -> None:
    """Acts on features, and says what they are worth."""
    option, learner = 'learner.kind', getattr(self._agent, 'learner', None)
    if option not in self._parts.kinds or learner is None:
      return
    features = _random([_BATCH, self._agent.model.features_size], 0.5)
    for explore in (True, False):
      with self._parts.explained(option):
        found = learner.act(features, tf.constant(_SEED), explore)
      self._parts.check_action(
        option, f'act (explore={explore})', found, _BATCH
      )
    with self._parts.explained(option):
      value, prior = learner.value(features), learner.prior(features)
    self._parts.check(option, 'value', value, [_BATCH])
    self._parts.check(option, 'prior', prior, [_BATCH, self._spec.actions])

  def policy(self) -> None:
    """Acts on a first observation, as episodes are collected."""
    shown = ('image', 'is_first', *self._spec.vectors)
    observation = {
      key: self._batch[key][:1, 0] for key in shown if key in self._batch
    }
    acting = ('planner.kind', 'learner.actor.kind', 'agent.kind')
    for name, count in (('initial', 1), ('policy', 4), ('train', 2)):
      function = getattr(self._agent, name)
      self._parts.check_signature('agent.kind', name, function, count)
    with self._parts.explained(*acting, *self._parts.kinds):
      before = self._agent.initial(1)
      action, state = self._agent.policy(
        observation, before, tf.constant(False), tf.constant([0, 0])
      )
    option = next(filter(self._parts.kinds.__contains__, acting), None)
    if option:
      self._parts.check_action(option, 'action', action, 1)
    if 'agent.kind' in self._parts.kinds:
      self._parts.check_state('agent.kind', 'policy, its state,', state, before)

  def train(self, train: ml_collections.ConfigDict) -> None:
    """Builds the graph of an update, which is not done."""
    trace = getattr(self._agent.train, 'get_concrete_function', None)
    if trace is None:
      return
    lead = [train.batch, train.length]
    batch = {
      key: tf.TensorSpec(lead + value.shape[2:], value.dtype)
      for key, value in self._batch.items()
    }
    with self._parts.explained():
      found = trace(batch, tf.TensorSpec([2], tf.int32)).structured_outputs
    for name, value in found.items() if isinstance(found, dict) else ():
      if value.shape.rank:
        raise self._parts.error(
          next(iter(self._parts.kinds)),
          f'with which the figure {name!r} of an update has the shape '
          f'{value.shape.as_list()}; it is one number',
        )

  def check_built(self, known: int) -> None:
    """Checks that the calls have made no variables, which would be missed."""
    late = len(self._agent.state_variables) - known
    if late:
      raise self._parts.error(
        next(iter(self._parts.kinds)),
        f'with which {late} variables are made when a layer is first called, '
        'too late to be trained or saved: build every layer in its constructor',
      )


def _batch(spec: Spec) -> dict[str, tf.Tensor]:
  """Makes a batch of chance, with the keys of those that are trained on."""
  lead = [_BATCH, _TIME]
  first = tf.tile(tf.range(_TIME)[None] == 0, [_BATCH, 1])
  action = _random([*lead, spec.actions])
  if spec.discrete:
    action = tf.one_hot(tf.argmax(action, -1), spec.actions)
  batch = {
    'action': tf.where(first[..., None], 0.0, action),
    'reward': tf.where(first, 0.0, _random(lead)),
    'discount': tf.ones(lead),
    'mask': tf.ones(lead),
    'is_first': first,
    'is_last': tf.zeros(lead, tf.bool),
    'is_terminal': tf.zeros(lead, tf.bool),
  }
  if spec.image:
    image = 127.5 * (1.0 + _random([*lead, *spec.image]))
    batch['image'] = tf.cast(image, tf.uint8)
  for key, size in spec.vectors.items():
    batch[key] = _random([*lead, size])
  return batch


def _random(shape: list[int], scale: float = 1.0) -> tf.Tensor:
  return tf.random.stateless_uniform(shape, _SEED, -scale, scale)
