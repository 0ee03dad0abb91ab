"""The recurrent state-space model: latent dynamics (PlaNet, section 3).

A state is a dict of deter [..., D] (what the recurrent network carries),
stoch [..., S] (a sample), mean and std [..., S] (what it was drawn from; logits
if it is categorical: latents.py). The prior knows the past and the action; the
posterior has seen the image too.

    deter_t     = cell(deter_{t-1}, f(stoch_{t-1}, action_t))
    prior_t     = N(mean, std | deter_t)
    posterior_t = N(mean, std | deter_t, embed_t)

Time: action_t led to image_t. Where is_first is true the state before and the
action are zeroed.

PlaNet's ablation (figure 4) by `kind`:
    recurrent      the model above;
    deterministic  no sampling and unit std: stoch is a code, not a draw, and
                   the KL becomes half the squared distance of the codes;
    stochastic     no recurrent path: deter is f(stoch, action) itself.
DreamerV2's latent is the fourth kind:
    categorical    recurrent, and stoch is S one-hot vectors of C classes.

What does not recur is computed for all steps in one call outside the loop:
the projections of embeddings and actions, and the prior's head.
"""

import keras
import tensorflow as tf

from worldmodels import latents
from worldmodels import layers as nets

KINDS = ('recurrent', 'deterministic', 'stochastic', 'categorical')


class RSSM(keras.layers.Layer):
  """Latent dynamics.

  Args:
    embed: E, size of the encoder's output.
    actions: A.
    deter: D, units of the recurrent cell.
    stoch: S, size of the stochastic part; of categoricals, how many.
    hidden: units of the dense layers around the cell.
    kind: one of KINDS.
    cell: `gru` (as TensorFlow 1's GRUBlockCell, which PlaNet used) or
      `layer_norm_gru` (DreamerV2: one normalized product for all gates).
    min_std: floor of every standard deviation (0.1 in PlaNet's code).
    classes: C, of each categorical.
    unimix: uniform share of a categorical's probabilities.
    activation, initializer: of the dense layers.
    precision: of all products; states are float32.
  """

  def __init__(self, *, embed, actions, deter=200, stoch=30, hidden=200,
               kind='recurrent', cell='gru', min_std=0.1, classes=32,
               unimix=0.01, activation='relu', initializer='glorot_uniform',
               precision='float32'):
    super().__init__(name='rssm')
    if kind not in KINDS:
      raise ValueError(f'rssm.kind is {kind!r}; one of {", ".join(KINDS)}')
    if cell not in CELLS:
      raise ValueError(
          f'rssm.cell is {cell!r}; one of {", ".join(sorted(CELLS))}')
    self._latent = latents.load(
        kind, stoch=stoch, min_std=min_std, classes=classes, unimix=unimix)
    self._activation = keras.activations.get(activation)
    self.deter = deter if kind != 'stochastic' else hidden
    self.actions = actions
    self.stoch = self._latent.size
    self.size = self.deter + self.stoch
    make = dict(initializer=initializer, dtype=precision)
    self._from_stoch = nets.dense(
        hidden, self._latent.size, use_bias=False, name='from_stoch', **make)
    self._from_action = nets.dense(hidden, actions, name='from_action', **make)
    self._cell = None
    if kind != 'stochastic':
      self._cell = CELLS[cell](hidden, deter, precision, name='cell')
    self._prior_hidden = nets.dense(
        hidden, self.deter, name='prior_hidden', **make)
    outputs = self._latent.statistics
    self._prior_out = nets.dense(
        outputs, hidden, dtype=precision, name='prior_out')
    self._from_deter = nets.dense(
        hidden, self.deter, use_bias=False, name='from_deter', **make)
    self._from_embed = nets.dense(hidden, embed, name='from_embed', **make)
    self._posterior_out = nets.dense(
        outputs, hidden, dtype=precision, name='posterior_out')
    self.built = True

  def initial(self, batch):
    """Returns the state before anything was seen, all zero: [B, ...]."""
    return {'deter': tf.zeros([batch, self.deter]),
            **self._latent.initial(batch)}

  def features(self, state):
    """Returns what the heads read, [..., F = D + S] (S C if categorical)."""
    return tf.concat([state['deter'], state['stoch']], -1)

  def observe_step(self, state, embed, action, is_first, seed=None):
    """One filtering step.

    Args:
      state: the state before, [B, ...].
      embed: [B, E], of the image that the action led to.
      action: [B, A].
      is_first: bool [B].
      seed: int32 [2] for the sample; None takes the mean, of categoricals
        the likeliest class.

    Returns:
      (posterior, prior), states [B, ...].
    """
    keep = 1.0 - tf.cast(is_first, tf.float32)[:, None]
    deter = self._advance(
        state['stoch'] * keep, state['deter'] * keep,
        _linear(self._from_action, action * keep))
    noise, extra = self._latent.noise(seed, [tf.shape(state['deter'])[0]], 2)
    prior = self._prior(deter, extra)
    evidence = _linear(self._from_embed, embed)
    return self._posterior(deter, evidence, noise), prior

  def imagine_step(self, state, action, seed=None):
    """One step of dynamics alone: state [B, ...], action [B, A] -> prior.

    Without `seed` the mean is propagated instead of a sample.
    """
    deter = self._advance(
        state['stoch'], state['deter'], _linear(self._from_action, action))
    (noise,) = self._latent.noise(seed, [tf.shape(state['deter'])[0]], 1)
    return self._prior(deter, noise)

  def observe(self, embed, action, is_first, state=None, seed=None):
    """Filters a chunk: embed [B, T, E] -> (posterior, prior) [B, T, ...].

    Args:
      embed: [B, T, E].
      action: [B, T, A], action[:, t] led to embed[:, t].
      is_first: bool [B, T].
      state: the state before the chunk; None is `initial`.
      seed: int32 [2] for the samples; None takes the means.
    """
    batch, steps = tf.shape(embed)[0], tf.shape(embed)[1]
    state = self.initial(batch) if state is None else state
    keep = 1.0 - tf.cast(_time_major(is_first), tf.float32)[..., None]
    noise, extra = self._latent.noise(seed, [steps, batch], 2)
    inputs = {
        'keep': keep,
        'drive': self._from_action(_time_major(action) * keep),
        'evidence': self._from_embed(_time_major(embed)),
        'noise': noise,
    }

    def step(carry, now):
      deter = self._advance(
          carry['stoch'] * now['keep'], carry['deter'] * now['keep'],
          now['drive'])
      return self._posterior(deter, now['evidence'], now['noise'])

    posterior = scan(step, inputs, state)
    posterior = {k: _time_major(v) for k, v in posterior.items()}
    prior = self._prior(posterior['deter'], _time_major(extra))
    return posterior, prior

  def imagine(self, state, action, seed=None):
    """Predicts: state [B, ...], action [B, H, A] -> prior states [B, H, ...].

    Without `seed` the mean is propagated instead of a sample.
    """
    batch, steps = tf.shape(action)[0], tf.shape(action)[1]
    (noise,) = self._latent.noise(seed, [steps, batch], 1)
    inputs = {'drive': self._from_action(_time_major(action)), 'noise': noise}

    def step(carry, now):
      deter = self._advance(carry['stoch'], carry['deter'], now['drive'])
      return self._prior(deter, now['noise'])

    states = scan(step, inputs, state)
    return {key: _time_major(value) for key, value in states.items()}

  def _advance(self, stoch, deter, drive):
    """The recurrence; `drive` is the projected action, [B, hidden]."""
    x = self._activation(self._from_stoch(stoch) + drive)
    return x if self._cell is None else self._cell(x, deter)

  def _prior(self, deter, noise):
    hidden = self._activation(self._prior_hidden(deter))
    return {'deter': deter,
            **self._latent.parts(self._prior_out(hidden), noise)}

  def _posterior(self, deter, evidence, noise):
    hidden = self._activation(self._from_deter(deter) + evidence)
    return {'deter': deter,
            **self._latent.parts(self._posterior_out(hidden), noise)}


class GRU(keras.layers.Layer):
  """The GRU of Cho et al. (2014) as TensorFlow 1's GRUBlockCell has it."""

  def __init__(self, inputs, units, precision='float32', **kwargs):
    super().__init__(**kwargs)
    self._gates = nets.dense(
        2 * units, inputs + units, dtype=precision, name='gates')
    # GRUBlockCell starts with both gates open (bias 1).
    self._gates.bias.assign(tf.ones_like(self._gates.bias))
    self._candidate = nets.dense(
        units, inputs + units, dtype=precision, name='candidate')
    self.built = True

  def call(self, x, deter):
    """Maps input [..., I] and state [..., D] -> state [..., D]."""
    gates = tf.sigmoid(self._gates(tf.concat([x, deter], -1)))
    reset, update = tf.split(gates, 2, -1)
    candidate = tf.tanh(
        self._candidate(tf.concat([x, reset * deter], -1)))
    return update * deter + (1.0 - update) * candidate


class LayerNormGRU(keras.layers.Layer):
  """One normalized product for all gates (DreamerV2); it starts mostly shut.

  The update gate's -1 keeps the state three times as much as it changes it.
  """

  def __init__(self, inputs, units, precision='float32', **kwargs):
    super().__init__(**kwargs)
    self._all = nets.dense(
        3 * units, inputs + units, use_bias=False, dtype=precision, name='all')
    self._norm = nets.Norm(3 * units, name='norm')
    self.built = True

  def call(self, x, deter):
    """Maps input [..., I] and state [..., D] -> state [..., D]."""
    parts = self._norm(self._all(tf.concat([x, deter], -1)))
    reset, candidate, update = tf.split(parts, 3, -1)
    candidate = tf.tanh(tf.sigmoid(reset) * candidate)
    update = tf.sigmoid(update - 1.0)
    return update * candidate + (1.0 - update) * deter


CELLS = {'gru': GRU, 'layer_norm_gru': LayerNormGRU}


def scan(step, inputs, state):
  """Runs `step(state, inputs_t) -> state` over time as a TensorFlow loop.

  Args:
    step: function of a state dict [B, ...] and a dict of inputs at a time.
    inputs: dict of tensors [T, B, ...].
    state: the state dict before the first step.

  Returns:
    dict of the states after each step, [T, B, ...].
  """
  first = next(iter(inputs.values()))
  count = tf.shape(first)[0]
  feeds = {
      key: tf.TensorArray(
          value.dtype, count, element_shape=value.shape[1:]).unstack(value)
      for key, value in inputs.items()}
  outs = {
      key: tf.TensorArray(value.dtype, count, element_shape=value.shape)
      for key, value in state.items()}

  def body(index, carry, outs):
    now = {key: feed.read(index) for key, feed in feeds.items()}
    carry = step(carry, now)
    outs = {key: out.write(index, carry[key]) for key, out in outs.items()}
    return index + 1, carry, outs

  _, _, outs = tf.while_loop(
      lambda index, *_: index < count, body, (0, state, outs),
      maximum_iterations=count)
  # A length that is known stays known, for those who need sizes.
  known = first.shape[:1]
  return {key: tf.ensure_shape(out.stack(), known + state[key].shape)
          for key, out in outs.items()}


def _linear(layer, inputs):
  """A dense layer [B, I] -> [B, units] whose result is added to another's.

  TensorFlow 2.21 would fuse Keras's own addition of a bias, the sum and an ELU
  into a node without operation, and give up optimizing the whole function.
  """
  dtype = layer.compute_dtype
  product = tf.matmul(tf.cast(inputs, dtype), tf.cast(layer.kernel, dtype))
  return tf.cast(product, tf.float32) + layer.bias


def _time_major(value):
  """Swaps the first two axes."""
  rank = value.shape.rank
  return tf.transpose(value, [1, 0] + list(range(2, rank)))
