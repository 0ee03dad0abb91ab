"""The recurrent state-space model (PlaNet, section 3).

A state is a dict of deter [..., D] (what the recurrent network carries),
stoch [..., S] (a sample), mean and std [..., S] (what it was drawn from; logits
if it is categorical: latents.py). The prior knows the past and the action; the
posterior has seen the image too.

    deter_t     = cell(deter_{t-1}, f(stoch_{t-1}, action_t))
    prior_t     = N(mean, std | deter_t)
    posterior_t = N(mean, std | deter_t, embed_t)

PlaNet's ablation (figure 4): `latent` deterministic draws nothing, so the KL is
half the squared distance of two states; without `recurrent` there is no
recurrent path, and deter is f(stoch, action) itself. DreamerV2's latent is
`categorical`.

What does not recur is computed for all steps in one call outside the loop: the
projections of embeddings and actions, and the prior's head. That is why loop
and step have forms of their own; the equations they share stand once.
"""

import keras
import tensorflow as tf

from worldmodels import errors
from worldmodels import latent_dynamics
from worldmodels import latents
from worldmodels import nets
from worldmodels import states
from worldmodels.states import State
from worldmodels.states import Tensor

FANS = ('layer', 'part')


class Dynamics(latent_dynamics.Dynamics):
  """Latent dynamics.

  Args:
    embed: E, size of the encoder's output.
    actions: A.
    deter: D, units of the recurrent cell.
    stoch: S, size of the stochastic part; of categoricals, how many.
    hidden: units of the dense layers around the cell.
    latent: one of latents.LATENTS.
    recurrent: whether there is a recurrent path; without it D is `hidden`.
    cell: `gru` (as TensorFlow 1's GRUBlockCell, which PlaNet used) or
      `layer_norm_gru` (DreamerV2: one normalized product for all gates).
    min_std: floor of every standard deviation (0.1 in PlaNet's code).
    classes: C, of each categorical.
    unimix: uniform share of a categorical's probabilities.
    activation: of the dense layers.
    initializer: of the weights of the dense layers.
    fans: what Glorot and He count of the two layers that are computed as sums
      of products: the inputs of the `layer`, as published, or of each `part`.
    precision: of all products; states are float32.
  """

  def __init__(
    self,
    *,
    embed: int,
    actions: int,
    deter: int = 200,
    stoch: int = 30,
    hidden: int = 200,
    latent: str = 'gaussian',
    recurrent: bool = True,
    cell: str = 'gru',
    min_std: float = 0.1,
    classes: int = 32,
    unimix: float = 0.01,
    activation: str = 'relu',
    initializer: str = 'glorot_uniform',
    fans: str = 'layer',
    precision: str = 'float32',
  ):
    super().__init__(name='dynamics')
    whole = errors.choose('fans', fans, FANS) == 'layer'
    self._latent = latents.load(
      latent, stoch=stoch, min_std=min_std, classes=classes, unimix=unimix
    )
    self.stochastic = self._latent.stochastic
    make_cell = nets.cell(cell)
    self._activation = keras.activations.get(activation)
    self._deter = deter if recurrent else hidden
    self.features_size = self._deter + self._latent.size
    hidden_layer = dict(initializer=initializer, dtype=precision)
    # The recurrence: one layer over sample and action.
    inputs = self._latent.size + actions if whole else None
    self._from_stoch = nets.dense(
      hidden,
      self._latent.size,
      use_bias=False,
      part_of=inputs,
      name='from_stoch',
      **hidden_layer,
    )
    self._from_action = nets.dense(
      hidden, actions, part_of=inputs, name='from_action', **hidden_layer
    )
    self._cell = None
    if recurrent:
      self._cell = make_cell(hidden, deter, precision, name='cell')
    # Prior, and posterior: one layer over memory and embedding.
    self._build_prior(hidden, actions, **hidden_layer)
    inputs = self._deter + embed if whole else None
    self._from_deter = nets.dense(
      hidden,
      self._deter,
      use_bias=False,
      part_of=inputs,
      name='from_deter',
      **hidden_layer,
    )
    self._from_embed = nets.dense(
      hidden, embed, part_of=inputs, name='from_embed', **hidden_layer
    )
    self._posterior_out = nets.dense(
      self._latent.outputs, hidden, dtype=precision, name='posterior_out'
    )
    self.built = True

  def initial(self, count: int | Tensor) -> State:
    """Returns the state before anything was seen, all zero: [count, ...]."""
    return {
      'deter': tf.zeros([count, self._deter]),
      **self._latent.initial(count),
    }

  def features(self, state: State) -> Tensor:
    """Returns features for heads, [..., F = D + S] (S C if categorical)."""
    return tf.concat([state['deter'], state['stoch']], -1)

  def divergence(self, posterior: State, prior: State) -> Tensor:
    """Returns KL(posterior || prior) in nats, [...]."""
    return self._latent.divergence(posterior, prior)

  def observe_step(
    self,
    state: State,
    embed: Tensor,
    action: Tensor,
    is_first: Tensor,
    seed: Tensor | None = None,
  ) -> tuple[State, State]:
    """Filters one step; see the base class.

    Without a seed the mean is taken, of categoricals the likeliest class.
    """
    keep = 1.0 - tf.cast(is_first, tf.float32)[:, None]
    deter = self._advance(
      state['stoch'] * keep,
      state['deter'] * keep,
      nets.linear(self._from_action, action * keep),
    )
    noise, extra = self._latent.noise(seed, [tf.shape(deter)[0]], 2)
    prior = self._prior(deter, extra)
    evidence = nets.linear(self._from_embed, embed)
    return self._posterior(deter, evidence, noise), prior

  def step(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Predicts one step: state [N, ...], action [N, A] -> state [N, ...]."""
    deter = self._advance(
      state['stoch'],
      state['deter'],
      nets.linear(self._from_action, action),
    )
    (noise,) = self._latent.noise(seed, [tf.shape(deter)[0]], 1)
    return self._prior(deter, noise)

  def observe(
    self,
    embed: Tensor,
    action: Tensor,
    is_first: Tensor,
    state: State | None = None,
    seed: Tensor | None = None,
  ) -> tuple[State, State]:
    """Filters a chunk; see the base class."""
    batch, steps = tf.shape(embed)[0], tf.shape(embed)[1]
    state = self.initial(batch) if state is None else state
    keep = 1.0 - tf.cast(states.swap(is_first), tf.float32)[..., None]
    noise, extra = self._latent.noise(seed, [steps, batch], 2)
    drive = self._from_action(states.swap(action) * keep)
    posterior = states.swap(self._filtered(embed, drive, keep, noise, state))
    prior = self._prior(posterior['deter'], states.swap(extra))
    return posterior, prior

  def imagine(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Predicts: state [N, ...], action [N, H, A] -> states [N, H, ...]."""
    batch, steps = tf.shape(action)[0], tf.shape(action)[1]
    (noise,) = self._latent.noise(seed, [steps, batch], 1)
    inputs = {'drive': self._from_action(states.swap(action)), 'noise': noise}

    def step(carry: State, now: State) -> State:
      deter = self._advance(carry['stoch'], carry['deter'], now['drive'])
      return self._prior(deter, now['noise'])

    return states.swap(states.scan(step, inputs, state))

  def _filtered(
    self,
    embed: Tensor,
    drive: Tensor,
    keep: Tensor,
    noise: Tensor,
    state: State,
  ) -> State:
    """Returns the posterior of each step, time first: [T, B, ...].

    Args:
      embed: [B, T, E].
      drive: the projected actions, [T, B, hidden].
      keep: 0 where an episode begins, else 1, [T, B, 1].
      noise: of the draws, [T, B, ...].
      state: the state before, [B, ...].
    """
    inputs = {
      'keep': keep,
      'drive': drive,
      'evidence': self._from_embed(states.swap(embed)),
      'noise': noise,
    }

    def step(carry: State, now: State) -> State:
      deter = self._advance(
        carry['stoch'] * now['keep'],
        carry['deter'] * now['keep'],
        now['drive'],
      )
      return self._posterior(deter, now['evidence'], now['noise'])

    return states.scan(step, inputs, state)

  def _advance(self, stoch: Tensor, deter: Tensor, drive: Tensor) -> Tensor:
    """Steps the recurrence; `drive` is the projected action, [B, hidden]."""
    x = self._activation(self._from_stoch(stoch) + drive)
    return x if self._cell is None else self._cell(x, deter)

  def _build_prior(
    self, hidden: int, actions: int, *, initializer: str, dtype: str
  ) -> None:
    """Builds the layers from memory to prior."""
    del actions  # The memory knows them.
    self._prior_hidden = nets.dense(
      hidden,
      self._deter,
      initializer=initializer,
      dtype=dtype,
      name='prior_hidden',
    )
    self._prior_out = nets.dense(
      self._latent.outputs, hidden, dtype=dtype, name='prior_out'
    )

  def _prior(self, deter: Tensor, noise: Tensor) -> State:
    hidden = self._activation(self._prior_hidden(deter))
    return {
      'deter': deter,
      **self._latent.state(self._prior_out(hidden), noise),
    }

  def _posterior(self, deter: Tensor, evidence: Tensor, noise: Tensor) -> State:
    hidden = self._activation(self._from_deter(deter) + evidence)
    return {
      'deter': deter,
      **self._latent.state(self._posterior_out(hidden), noise),
    }
