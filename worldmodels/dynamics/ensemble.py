"""An ensemble of transitions: K members that predict what comes next.

Probabilistic ensembles (Chua et al., 2018, PETS) in the latent space of the
recurrent state-space model. Encoder, memory, posterior and heads are shared, so
that a state means the same to all; what is learned K times, from starts drawn
for each, is the step to the next sample:

    deter_t     = cell(deter_{t-1}, f(stoch_{t-1}, action_t))
    prior_t^k   = N(mean, std | deter_t, action_t),   k = 1 .. K
    posterior_t = N(mean, std | deter_t, embed_t)

and the KL of the loss is the mean over members. A member has its own view of
the action beside the memory. It does not see the sample itself: a way from
sample to sample beside the cell, which nothing bounds, lets the scale of the
samples and the gradients of long dreams grow without end (docs/uncertainty.md).
Without a recurrent path that way is all there is, and members do see it.
Offline RL from Images with Latent Space Models (Rafailov et al., 2021) has an
ensemble over a shared memory as well.

A state of rssm.py has `member` beside its parts: -1 for none, else the one that
it is committed to (`particles`). Its mean and std, or logits, are those of all
members, [..., K, *]: what each of them predicted from the state before; of an
observed state K copies.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from worldmodels import common_draws
from worldmodels import members
from worldmodels import nets
from worldmodels import states
from worldmodels import uncertainty
from worldmodels.dynamics import rssm
from worldmodels.states import State
from worldmodels.states import Tensor

_NONE = -1.0  # A float: whole numbers live in the memory of the host.


class Dynamics(rssm.Dynamics):
  """Latent dynamics of several members.

  Args:
    members: K.
    **options: of rssm.Dynamics.
  """

  told_by_members = True

  def __init__(self, *, members: int = 5, **options: Any):
    self.members = members  # What the constructor of the base builds needs it.
    super().__init__(**options)

  def initial(self, count: int | Tensor) -> State:
    """Returns the state before anything was seen, all zero: [count, ...]."""
    return self._observed(super().initial(count))

  def divergence(self, posterior: State, prior: State) -> Tensor:
    """Returns the mean over members of KL(posterior || prior), nats [...]."""
    return tf.reduce_mean(self._latent.divergence(posterior, prior), -1)

  def particles(
    self, state: State, count: int, seed: Tensor | None = None
  ) -> State:
    """Returns states committed to members, [N P, ...]; see the base class."""
    repeated = super().particles(state, count)
    total = states.size(repeated)
    if seed is None:
      member = tf.cast(tf.range(total) % self.members, tf.float32)
    else:
      (member,) = tf.unstack(self._dealt(seed, 1, total), 1)
    return dict(
      repeated, member=tf.ensure_shape(member, repeated['member'].shape)
    )

  def spread(self, state: State) -> Tensor:
    """Returns how far members are apart about the step to a state, [...]."""
    centers = self._latent.centers(state)  # [..., K, S]
    variance = tf.math.reduce_variance(centers, -2)
    return uncertainty.root(tf.reduce_mean(variance, -1))

  def beliefs(self, state: State) -> State:
    """Returns what each member took a state for, or saw: [..., K, *]."""
    each = [
      self._latent.blend(state, x) for x in tf.unstack(tf.eye(self.members))
    ]
    deter = tf.repeat(state['deter'][..., None, :], self.members, -2)
    return {'deter': deter, 'stoch': tf.stack(each, -2)}

  def uncertainty(self, state: State) -> uncertainty.Uncertainty:
    """Returns both kinds of uncertainty of the step to a state, nats [...]."""
    return self._latent.uncertainty(state)

  def observe_step(
    self,
    state: State,
    embed: Tensor,
    action: Tensor,
    is_first: Tensor,
    seed: Tensor | None = None,
  ) -> tuple[State, State]:
    """Filters one step; see the base class."""
    keep = 1.0 - tf.cast(is_first, tf.float32)[:, None]
    before = {key: state[key] * keep for key in ('deter', 'stoch')}
    member = tf.fill(tf.shape(action)[:1], _NONE)
    noise, *chance = self._chance(seed, 1, tf.shape(action)[0])
    prior = self._next(
      dict(before, member=member),
      action * keep,
      nets.linear(self._from_action, action * keep),
      *(None if x is None else x[0] for x in chance),
    )
    evidence = nets.linear(self._from_embed, embed)
    posterior = self._posterior(prior['deter'], evidence, noise[0])
    return self._observed(posterior), prior

  def step(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Predicts one step: state [N, ...], action [N, A] -> state [N, ...]."""
    _, *chance = self._chance(seed, 1, tf.shape(action)[0])
    drive = nets.linear(self._from_action, action)
    chance = (None if x is None else x[0] for x in chance)
    return self._next(state, action, drive, *chance)

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
    start = super().initial(batch)
    if state is not None:
      start |= {key: state[key] for key in ('deter', 'stoch')}
    keep = 1.0 - tf.cast(states.swap(is_first), tf.float32)[..., None]
    noise, *chance = self._chance(seed, steps, batch)
    action = states.swap(action) * keep
    drive = self._from_action(action)
    posterior = self._filtered(embed, drive, keep, noise, start)
    # The members do not recur: all steps at once.
    before = tf.concat([start['stoch'][None], posterior['stoch'][:-1]], 0)
    prior = self._predicted(
      posterior['deter'], before * keep, action, None, *chance
    )
    posterior = self._observed(posterior)
    return states.swap(posterior), states.swap(prior)

  def imagine(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Predicts: state [N, ...], action [N, H, A] -> states [N, H, ...]."""
    batch, steps = tf.shape(action)[0], tf.shape(action)[1]
    _, member, noise = self._chance(seed, steps, batch)
    action = states.swap(action)
    inputs = {'action': action, 'drive': self._from_action(action)}
    if seed is not None:
      inputs |= {'member': member, 'noise': noise}

    def step(carry: State, now: State) -> State:
      return self._next(
        carry, now['action'], now['drive'], now.get('member'), now.get('noise')
      )

    return states.swap(states.scan(step, inputs, state))

  def _build_prior(
    self, hidden: int, actions: int, *, initializer: str, dtype: str
  ) -> None:
    """Builds the layers of all members."""
    self._of_sample = self._cell is None
    self._member_hidden = members.Dense(
      self.members,
      hidden,
      self._deter + actions + self._of_sample * self._latent.size,
      initializer=initializer,
      dtype=dtype,
      name='member_hidden',
    )
    self._member_out = members.Dense(
      self.members, self._latent.outputs, hidden, dtype=dtype, name='member_out'
    )

  def _next(
    self,
    state: State,
    action: Tensor,
    drive: Tensor,
    member: Tensor | None,
    noise: Tensor | None,
  ) -> State:
    """Steps from states [N, ...]; `drive` is the projected action."""
    deter = self._advance(state['stoch'], state['deter'], drive)
    return self._predicted(
      deter, state['stoch'], action, state['member'], member, noise
    )

  def _predicted(
    self,
    deter: Tensor,
    before: Tensor,
    action: Tensor,
    committed: Tensor | None,
    member: Tensor | None,
    noise: Tensor | None,
  ) -> State:
    """Returns states with what all members predict.

    Args:
      deter: memory of the new states, [..., D].
      before: sample of the states before, [..., S].
      action: [..., A].
      committed: member of each state, [...], _NONE for none; None for no state.
      member: that is drawn for a state without one, [...]; None for the mean.
      noise: of the draw, [..., S]; None for the mean.
    """
    if committed is None:
      committed = tf.zeros_like(deter[..., 0]) + _NONE
    seen = [deter, before, action] if self._of_sample else [deter, action]
    outputs = self._outputs(tf.concat(seen, -1))
    each = self._latent.state(outputs, 0.0)  # [..., K, *]
    of_none = (committed < 0.0)[..., None]
    if member is None:
      weight = tf.where(of_none, 1.0 / self.members, self._one(committed))
      stoch = self._latent.blend(each, weight)
    else:
      chosen = tf.where(of_none[..., 0], member, committed)
      output = tf.einsum('...ko,...k->...o', outputs, self._one(chosen))
      stoch = self._latent.state(output, noise)['stoch']
    stoch = tf.ensure_shape(stoch, [*deter.shape[:-1], self._latent.size])
    held = {key: each[key] for key in self._latent.keys}
    return {'deter': deter, 'stoch': stoch, 'member': committed, **held}

  def _outputs(self, inputs: Tensor) -> Tensor:
    """Maps what members see, [..., *], to their outputs, [..., K, O]."""
    rows = tf.reshape(inputs, [-1, inputs.shape[-1]])
    hidden = self._activation(self._member_hidden(rows))
    outputs = tf.transpose(self._member_out(hidden), [1, 0, 2])
    lead = tf.shape(inputs)[:-1]
    found = tf.reshape(
      outputs, tf.concat([lead, [self.members, self._latent.outputs]], 0)
    )
    known = [*inputs.shape[:-1], self.members, self._latent.outputs]
    return tf.ensure_shape(found, known)

  def _one(self, member: Tensor) -> Tensor:
    """Returns members [...] as one-hot [..., K]."""
    return tf.one_hot(tf.cast(member, tf.int32), self.members)

  def _observed(self, state: State) -> State:
    """Makes a state of rssm.py [..., *] one of all members alike, of none."""
    axis = state['deter'].shape.rank - 1
    held = {
      key: tf.stack([state[key]] * self.members, axis)
      for key in self._latent.keys
    }
    member = tf.zeros_like(state['deter'][..., 0]) + _NONE
    return {**state, 'member': member, **held}

  def _chance(
    self, seed: Tensor | None, steps: int | Tensor, batch: Tensor
  ) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Returns what is drawn for steps [T, N]: noise, and member and noise.

    The first noise is that of what is observed; without a seed it is nothing,
    and the others are None.
    """
    if seed is None:
      (noise,) = self._latent.noise(None, [steps, batch], 1)
      return noise, None, None
    seeds = tf.random.split(seed, 2)
    noise, other = self._latent.noise(seeds[0], [steps, batch], 2)
    return noise, self._dealt(seeds[1], steps, batch), other

  def _dealt(
    self, seed: Tensor, steps: int | Tensor, count: int | Tensor
  ) -> Tensor:
    """Deals members out, as cards: float32 [T, N].

    Each is as likely as the others. Of K states in a row each has another, so
    that the particles of one candidate are of all members.
    """

    def deal(shape: Sequence[int | Tensor], seed: Tensor) -> Tensor:
      steps, count = shape
      hands = -(-count // self.members)
      order = tf.argsort(
        tf.random.stateless_uniform([steps, hands, self.members], seed)
      )
      dealt = tf.reshape(order, [steps, hands * self.members])[:, :count]
      return tf.cast(dealt, tf.float32)

    return common_draws.draw(deal, [steps, count], seed, 1)
