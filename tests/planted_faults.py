"""Faults that the tests have to find: one changed line each.

After each of them shapes, dtypes and finiteness are still right, and most of
what is trained with it seems to learn. Named is a test of behavior or of a
value that was worked out by hand; a recording of what the code did (golden)
would find everything and say nothing.

faults.py plants them one by one; faults_test.py looks whether they still can be
planted.
"""

from typing import NamedTuple


class Fault(NamedTuple):
  """A change of one line.

  Attributes:
    what: is wrong then.
    file: that is changed.
    old: text that it has exactly once.
    new: that takes its place.
    test: that must fail, FILE::TEST of tests/, where it takes long [CASE] too.
  """

  what: str
  file: str
  old: str
  new: str
  test: str


LOSSES = (
  Fault(
    'a loss is held to the variance of what is yet to come',
    'agents/agent.py',
    '    self.model.update_statistics(batch)',
    '    pass',
    'agents_test.py::test_a_relative_loss_knows_its_first_batch',
  ),
  Fault(
    'the start of a running variance counts as data',
    'worldmodels/running_variance.py',
    'tf.math.divide_no_nan(average.value, self._one.value)',
    'tf.math.divide_no_nan(average.value, 1.0)',
    'running_variance_test.py::test_of_one_batch_it_is_its_own',
  ),
  Fault(
    'the KL has its deviations the wrong way round',
    'worldmodels/losses.py',
    'ratio = tf.square(std_a / std_b)',
    'ratio = tf.square(std_b / std_a)',
    'losses_test.py::test_gaussian_kl_of_hand_worked_numbers',
  ),
  Fault(
    'the KL of categoricals is that of b and a',
    'worldmodels/losses.py',
    'tf.exp(logits_a) * (logits_a - logits_b)',
    'tf.exp(logits_b) * (logits_b - logits_a)',
    'latents_test.py::test_categorical_kl_of_hand_worked_numbers',
  ),
  Fault(
    "the prior's share of the KL trains the posterior too",
    'worldmodels/losses.py',
    'to_prior = divergence(states.stop(posterior), prior)',
    'to_prior = divergence(posterior, prior)',
    'losses_test.py::test_free_nats_and_balance_by_hand',
  ),
  Fault(
    'the two sides of the balance are swapped',
    'worldmodels/losses.py',
    'loss = prior_scale * to_prior + posterior_scale * to_posterior',
    'loss = posterior_scale * to_prior + prior_scale * to_posterior',
    'losses_test.py::test_free_nats_and_balance_by_hand',
  ),
  Fault(
    'free nats are in the value and not in the gradient',
    'worldmodels/losses.py',
    'active = tf.cast(kl > free_nats, kl.dtype)',
    'active = tf.cast(kl > 0.0, kl.dtype)',
    'losses_test.py::test_free_nats_and_balance_by_hand',
  ),
  Fault(
    'padding pays for free nats of the mean',
    'worldmodels/losses.py',
    'mean = masked_mean(kl, tf.ones_like(kl) if mask is None else mask)',
    'mean = tf.reduce_mean(kl)',
    'losses_test.py::test_free_nats_of_the_mean_are_not_paid_by_padding',
  ),
  Fault(
    'a masked mean divides by all steps',
    'worldmodels/losses.py',
    'steps = tf.maximum(steps, 1.0)',
    'steps = tf.cast(tf.size(mask), tf.float32)',
    'losses_test.py::test_masked_mean',
  ),
  Fault(
    'a share of the frames costs a share',
    'worldmodels/losses.py',
    'found *= tf.cast(count, tf.float32) / tf.cast(some, tf.float32)',
    'found *= tf.ones([])',
    'losses_test.py::test_a_share_is_unbiased_and_every_step_has_its_own_values',
  ),
  Fault(
    'of a share, frames are compared with those of other steps',
    'worldmodels/losses.py',
    'tf.gather(values, chosen))',
    'values[: tf.size(chosen)])',
    'losses_test.py::test_a_share_is_unbiased_and_every_step_has_its_own_values',
  ),
  Fault(
    'the loss counts padding',
    'worldmodels/world_model.py',
    'return self.weigh(losses.masked_means(terms, mask))',
    'return self.weigh(losses.masked_means(terms, tf.ones_like(mask)))',
    'world_model_test.py::test_total_is_the_scaled_sum_of_masked_means',
  ),
  Fault(
    'heads are trained on the prior, which has not seen the image',
    'worldmodels/world_model.py',
    'features = self.features(posterior)\n    terms',
    'features = self.features(prior)\n    terms',
    'world_model_test.py::test_heads_are_paired_with_the_step_they_describe',
  ),
  Fault(
    'acting goes on from the prior, without the image',
    'worldmodels/world_model.py',
    'posterior, _ = self.dynamics.observe_step(',
    '_, posterior = self.dynamics.observe_step(',
    'world_model_test.py::test_a_step_is_a_chunk_of_one',
  ),
  Fault(
    'the head for the end of episodes is not asked',
    'worldmodels/world_model.py',
    "if 'discount' not in self.keys:",
    'if True:',
    'probe_tasks_test.py::test_it_is_solved[planet-constant]',
  ),
  Fault(
    'overshooting trains the posterior towards its own prediction',
    'worldmodels/latent_overshooting.py',
    'ahead(states.stop(posterior), steps)',
    'ahead(posterior, steps)',
    'world_model_test.py::test_the_target_of_overshooting_has_no_gradient',
  ),
  Fault(
    'overshooting is told each action one step late',
    'worldmodels/latent_overshooting.py',
    "model.imagine(start, ahead(batch['action'], steps), seed)",
    "model.imagine(start, ahead(tf.roll(batch['action'], 1, 1), steps), seed)",
    'world_model_test.py::test_overshooting_is_that_of_single_steps',
  ),
  Fault(
    'what is ahead of a step begins with that step',
    'worldmodels/latent_overshooting.py',
    'for d in range(1, steps + 1)]',
    'for d in range(steps)]',
    'latent_overshooting_test.py::test_ahead_are_the_steps_after_each_start',
  ),
  Fault(
    'overshooting goes on behind a reset',
    'worldmodels/latent_overshooting.py',
    'tf.math.cumprod(1.0 - resets, 1)',
    '(1.0 - resets)',
    'latent_overshooting_test.py'
    '::test_nothing_is_reached_past_a_reset_or_padding',
  ),
  Fault(
    'the mean of overshooting counts steps that start nothing',
    'worldmodels/latent_overshooting.py',
    '* (length / starts)',
    '* 1.0',
    'latent_overshooting_test.py'
    '::test_the_mean_over_all_steps_is_that_over_the_starts',
  ),
  Fault(
    'open-loop errors: the copy is one of the image to be predicted',
    'worldmodels/prediction.py',
    'truth[:, context - 1 : context]',
    'truth[:, context : context + 1]',
    'prediction_test.py::test_baselines_in_numpy',
  ),
  Fault(
    'open-loop errors: the dreams are not averaged but all the same one',
    'worldmodels/prediction.py',
    'more = dream(number)',
    'more = dream(0)',
    'prediction_test.py::test_a_prediction_is_the_mean_of_what_is_dreamed',
  ),
)

RSSM = (
  Fault(
    'the action of a reset is not cut off',
    'worldmodels/dynamics/rssm.py',
    'self._from_action(states.swap(action) * keep)',
    'self._from_action(states.swap(action))',
    'dynamics_test.py::test_a_reset_cuts_the_past_and_its_action',
  ),
  Fault(
    'what the network carries survives a reset',
    'worldmodels/dynamics/rssm.py',
    "carry['deter'] * now['keep'],",
    "carry['deter'],",
    'dynamics_test.py::test_a_reset_cuts_the_past_and_its_action',
  ),
  Fault(
    'while acting, the sample survives a reset',
    'worldmodels/dynamics/rssm.py',
    "state['stoch'] * keep,",
    "state['stoch'],",
    'dynamics_test.py::test_a_reset_of_a_step_is_that_of_a_chunk',
  ),
  Fault(
    'images come one step late',
    'worldmodels/dynamics/rssm.py',
    "'evidence': self._from_embed(states.swap(embed)),",
    "'evidence': self._from_embed(tf.roll(states.swap(embed), 1, 0)),",
    'dynamics_test.py::test_action_t_led_to_image_t',
  ),
  Fault(
    'the posterior does not know the past',
    'worldmodels/dynamics/rssm.py',
    'hidden = self._activation(self._from_deter(deter) + evidence)',
    'hidden = self._activation(self._from_deter(0.0 * deter) + evidence)',
    'rssm_test.py::test_step_is_that_of_numpy',
  ),
  Fault(
    'the recurrence does not know the action',
    'worldmodels/dynamics/rssm.py',
    'x = self._activation(self._from_stoch(stoch) + drive)',
    'x = self._activation(self._from_stoch(stoch) + 0.0 * drive)',
    'probe_tasks_test.py::test_it_is_solved[planet-action]',
  ),
  Fault(
    'a chunk does not go on from the state before it',
    'worldmodels/dynamics/rssm.py',
    'state = self.initial(batch) if state is None else state',
    'state = self.initial(batch)',
    'dynamics_test.py::test_observe_goes_on_where_it_stopped',
  ),
  Fault(
    'the actions of a dream come in the wrong order',
    'worldmodels/dynamics/rssm.py',
    "{'drive': self._from_action(states.swap(action)), 'noise': noise}",
    "{'drive': self._from_action(states.swap(action))[::-1], 'noise': noise}",
    'dynamics_test.py::test_imagine_continues_what_observe_saw',
  ),
  Fault(
    'draws have deviation 1',
    'worldmodels/latents.py',
    "{'stoch': mean + std * noise,",
    "{'stoch': mean + noise,",
    'latents_test.py'
    '::test_a_gaussian_is_its_mean_and_noise_times_its_deviation',
  ),
  Fault(
    'deviations have no floor',
    'worldmodels/latents.py',
    'std = tf.nn.softplus(std) + self._min_std',
    'std = tf.nn.softplus(std)',
    'rssm_test.py::test_step_is_that_of_numpy',
  ),
  Fault(
    'the draw of a categorical has no gradient',
    'worldmodels/latents.py',
    'drawn += probabilities - tf.stop_gradient(probabilities)',
    'drawn += 0.0 * probabilities',
    'latents_test.py::test_the_gradient_of_a_draw_is_that_of_the_probabilities',
  ),
  Fault(
    'categoricals are not mixed with the uniform',
    'worldmodels/latents.py',
    'probabilities = (1.0 - self._unimix) * tf.nn.softmax(',
    'probabilities = 1.0 * tf.nn.softmax(',
    'latents_test.py::test_logits_are_normalized_and_mixed_with_the_uniform',
  ),
  Fault(
    'the GRU keeps what it is to replace',
    'worldmodels/nets.py',
    'return update * deter + (1.0 - update) * candidate',
    'return update * candidate + (1.0 - update) * deter',
    'rssm_test.py::test_step_is_that_of_numpy',
  ),
  Fault(
    'the normalized GRU starts half open',
    'worldmodels/nets.py',
    'update = tf.sigmoid(update - 1.0)',
    'update = tf.sigmoid(update)',
    'rssm_test.py::test_step_is_that_of_numpy',
  ),
)

PLANNER = (
  Fault(
    'a planner that takes no proposals is given those of the actor',
    'agents/suited.py',
    'takes = takes_proposals(kind) and not spec.discrete',
    'takes = not spec.discrete',
    'suited_test.py::test_proposals_of_a_planner_of_the_users',
  ),
  Fault(
    'candidates that share their draws have one particle',
    'worldmodels/common_draws.py',
    '* particles + number % particles',
    '* particles',
    'common_draws_test.py'
    '::test_a_particle_is_the_same_in_each_candidate_and_no_other',
  ),
  Fault(
    'candidates of two chains do not share their draws',
    'worldmodels/problem.py',
    'if not sampling.common:',
    'if sampling.particles:',
    'problem_test.py::test_candidates_may_share_their_draws',
  ),
  Fault(
    'the score of a plan ignores gamma',
    'worldmodels/problem.py',
    'after = tf.math.cumprod(self._gamma * self._model.discount(found), 1)',
    'after = tf.math.cumprod(self._model.discount(found), 1)',
    'problem_test.py::test_a_value_at_the_horizon_and_a_discount',
  ),
  Fault(
    'a planner does not hand on gamma',
    'agents/planner.py',
    'gamma=self._gamma,',
    'gamma=1.0,',
    'planner_test.py::test_a_planner_of_the_users_is_given_the_problem',
  ),
  Fault(
    "Dreamer's planner ignores gamma",
    'agents/dreamer.py',
    'super().make_planner(gamma=self.learner.gamma, **options)',
    'super().make_planner(gamma=1.0, **options)',
    'dreamer_test.py::test_a_planner_discounts_as_the_learner_does',
  ),
  Fault(
    'the reward of the end of an episode does not count',
    'worldmodels/problem.py',
    'alive = tf.concat([tf.ones_like(after[:, :1]), after[:, :-1]], 1)',
    'alive = after',
    'problem_test.py::test_what_comes_after_the_end_does_not_count',
  ),
  Fault(
    'a value counts behind the end',
    'worldmodels/problem.py',
    'returns += after[:, -1] * self._value(states.at(found, -1))',
    'returns += self._value(states.at(found, -1))',
    'problem_test.py::test_a_value_at_the_horizon_and_a_discount',
  ),
  Fault(
    'the worst candidates are the elites',
    'agents/planners/cem.py',
    'best = tf.math.top_k(scores, elites',
    'best = tf.math.top_k(-scores, elites',
    'cem_test.py::test_finds_the_optimum_of_each_member',
  ),
  Fault(
    'the elites are those of the first member, for all',
    'agents/planners/cem.py',
    'best = tf.math.top_k(scores, elites',
    'best = tf.math.top_k(scores[:1] + 0.0 * scores, elites',
    'cem_test.py::test_unlike_members_are_three_batches_of_one',
  ),
  Fault(
    'the deviation is not refitted',
    'agents/planners/cem.py',
    'std = tf.maximum(tf.sqrt(variance + 1e-6), min_std)',
    'std = tf.maximum(tf.sqrt(0.0 * variance + 1.0), min_std)',
    'cem_test.py::test_is_that_of_numpy',
  ),
  Fault(
    'proposals are no candidates',
    'agents/planners/cem.py',
    'actions = tf.concat([actions, proposals], 1)',
    'actions = tf.concat([actions, 0.0 * proposals], 1)',
    'cem_test.py::test_proposals_are_candidates_at_every_refit',
  ),
  Fault(
    'the worst sequences of choices are the elites',
    'agents/planners/categorical_cem.py',
    'best = tf.math.top_k(scores, elites',
    'best = tf.math.top_k(-scores, elites',
    'planners_test.py::test_each_member_gets_its_own_optimum',
  ),
  Fault(
    'what no elite does is never tried again',
    'agents/sequences.py',
    'shown = even / size + (1.0 - even) * odds',
    'shown = odds',
    'categorical_cem_test.py::test_a_floor_keeps_it_looking',
  ),
  Fault(
    'a warm plan is not moved on',
    'agents/planner.py',
    "before = moved_on(state['plan'])",
    "before = state['plan']",
    'planner_test.py::test_a_plan_goes_on_from_the_one_before',
  ),
  Fault(
    'a warm plan survives a reset',
    'agents/planner.py',
    'tf.where(is_first[:, None, None], 0.0, before)',
    'tf.where(False, 0.0, before)',
    'planet_test.py::test_with_a_warm_start_a_plan_goes_on_from_the_one_before',
  ),
  Fault(
    'all members forget the plan of one that begins anew',
    'agents/planner.py',
    'tf.where(is_first[:, None, None], 0.0, before)',
    'tf.where(tf.reduce_any(is_first), 0.0, before)',
    'planner_test.py::test_a_plan_goes_on_from_the_one_before',
  ),
  Fault(
    'colored noise is twice as colored',
    'agents/planners/icem.py',
    'size = max(number, 1) ** (-color / 2)',
    'size = max(number, 1) ** (-color)',
    'icem_test.py::test_the_noise_has_its_color_and_variance_1',
  ),
  Fault(
    'the elites that stay are the worst of them',
    'agents/planners/icem.py',
    'tf.ensure_shape(chosen[:, :kept], stay.shape),',
    'tf.ensure_shape(chosen[:, elites - kept :], stay.shape),',
    'icem_test.py::test_candidates_become_fewer_and_elites_are_asked_again',
  ),
  Fault(
    'all elites weigh the same',
    'agents/planners/mppi.py',
    'weights = tf.nn.softmax(above)',
    'weights = tf.nn.softmax(0.0 * above)',
    'mppi_test.py::test_candidates_weigh_the_exponential_of_their_scores',
  ),
  Fault(
    'a gradient is climbed down',
    'agents/sequences.py',
    'return rate * gradient /',
    'return -rate * gradient /',
    'gradient_test.py::test_the_first_climbs_from_the_start_a_step_at_a_time',
  ),
  Fault(
    "the discount of the user's own step does not count",
    'worldmodels/known_model.py',
    "'discount': _of_each('discount', discount, state['discount']),",
    "'discount': state['discount'],",
    'known_model_test.py::test_a_score_is_that_of_the_steps',
  ),
  Fault(
    'what is tried in a task goes on after its time',
    'data/simulation.py',
    'for _ in range(min(repeat, left)):',
    'for _ in range(repeat):',
    'simulation_test.py::test_after_the_end_nothing_comes',
  ),
  Fault(
    'all episodes of an oracle try the candidates of the first',
    'agents/oracle.py',
    'simulator.simulate(action[members])',
    'simulator.simulate(action[rows[0]])',
    'oracle_test.py::test_each_episode_is_planned_in_its_own_simulator',
  ),
)

ACTOR_CRITIC = (
  Fault(
    'the baseline of an action is the value that it led to',
    'agents/learners/actor_critic.py',
    'value_before=values[:, :-1],',
    'value_before=values[:, 1:],',
    'actor_critic_test.py'
    '::test_a_baseline_takes_noise_from_reinforce_and_not_from_its_mean',
  ),
  Fault(
    "the actor's own input has a gradient",
    'agents/actor.py',
    'outputs = self(tf.stop_gradient(features))',
    'outputs = self(features)',
    'actor_critic_test.py::test_the_gradient_of_a_dream_by_hand',
  ),
  Fault(
    'the weights of steps have a gradient',
    'agents/learners/actor_critic.py',
    'weight=tf.stop_gradient(weight),',
    'weight=weight,',
    'actor_critic_test.py::test_the_gradient_of_a_dream_by_hand',
  ),
  Fault(
    'the first step of a dream weighs gamma',
    'agents/learners/actor_critic.py',
    'weight = tf.math.cumprod(discount, 1, exclusive=True)',
    'weight = tf.math.cumprod(discount, 1)',
    'actor_critic_test.py'
    '::test_returns_bootstrap_from_the_critic_and_end_with_the_episode',
  ),
  Fault(
    'dreams are not discounted',
    'agents/learners/actor_critic.py',
    'discount = self.gamma * model.discount(rollout.states)',
    'discount = model.discount(rollout.states)',
    'probe_tasks_test.py::test_it_is_solved[dreamer-later]',
  ),
  Fault(
    'the value of a return is that of the state before the step',
    'agents/learners/actor_critic.py',
    'dream.reward, dream.discount, values[:, 1:], self._lambda',
    'dream.reward, dream.discount, values[:, :-1], self._lambda',
    'actor_critic_test.py'
    '::test_returns_bootstrap_from_the_critic_and_end_with_the_episode',
  ),
  Fault(
    'the actor is taught the worst',
    'agents/learners/actor_critic.py',
    'loss = -losses.masked_mean(objective, dream.weight)',
    'loss = losses.masked_mean(objective, dream.weight)',
    'probe_tasks_test.py::test_it_is_solved[dreamer-action]',
  ),
  Fault(
    'the advantage of reinforce has a gradient',
    'agents/learners/actor_critic.py',
    'tf.stop_gradient((dream.returns - dream.value_before) / scale)',
    'tf.identity((dream.returns - dream.value_before) / scale)',
    'actor_critic_test.py'
    '::test_the_estimators_find_the_gradient_of_closed_form',
  ),
  Fault(
    'entropy is taken away',
    'agents/learners/actor_critic.py',
    'objective += self._entropy * entropy',
    'objective -= self._entropy * entropy',
    'actor_critic_test.py::test_entropy_is_weighed',
  ),
  Fault(
    'dreams start in padding',
    'agents/learners/actor_critic.py',
    'dream = dream._replace(weight=dream.weight * weight[:, None])',
    'dream = dream._replace(weight=dream.weight)',
    'actor_critic_test.py::test_starts_of_weight_0_teach_nothing',
  ),
  Fault(
    'dreams start behind the end of an episode',
    'worldmodels/imagination.py',
    "weight = tf.reshape(batch['mask'] * batch['discount'], [-1])",
    "weight = tf.reshape(batch['mask'], [-1])",
    'imagination_test.py::test_all_states_are_starts_and_what_ends_has_no_weight',
  ),
  Fault(
    'the model is trained through the starts of dreams',
    'worldmodels/imagination.py',
    'state = states.stop(states.flatten(state))',
    'state = states.flatten(state)',
    'imagination_test.py::test_starts_have_no_gradient',
  ),
  Fault(
    'the noise of a state is that of its action',
    'worldmodels/imagination.py',
    "state = model.step(carry['state'], action, now['seed'][1])",
    "state = model.step(carry['state'], action, now['seed'][0])",
    'imagination_test.py::test_no_two_draws_of_a_rollout_have_the_same_seed',
  ),
  Fault(
    'lambda is 1 - lambda',
    'agents/returns.py',
    '(1.0 - lambda_) * value[:, step] + lambda_ * following',
    'lambda_ * value[:, step] + (1.0 - lambda_) * following',
    'returns_test.py::test_lambda_return_of_hand_worked_numbers',
  ),
  Fault(
    'the spread of returns is that of the two outermost',
    'agents/returns.py',
    'weight, [0.05, 0.95])',
    'weight, [0.0, 1.0])',
    'returns_test.py::test_the_scale_is_the_spread_averaged_over_updates',
  ),
  Fault(
    'the critic learns from steps that are not reached',
    'agents/critic.py',
    'return losses.masked_mean(loss, weight)',
    'return tf.reduce_mean(loss + 0.0 * weight)',
    'critic_test.py::test_the_loss_is_half_the_squared_error_of_what_counts',
  ),
  Fault(
    'returns are made with the critic itself',
    'agents/critic.py',
    "return self.slow_head if self._slow == 'target' else self.head",
    'return self.head',
    'critic_test.py'
    '::test_the_target_is_the_slow_copy_only_if_that_is_what_it_is_for',
  ),
  Fault(
    'the slow copy follows at once',
    'agents/slow_copies.py',
    'mine.assign_add(share * (theirs.value - mine.value))',
    'mine.assign_add(theirs.value - mine.value)',
    'critic_test.py::test_the_slow_copy_follows_at_every_second_update',
  ),
  Fault(
    'the truncated normal is not truncated',
    'agents/action_distributions/truncated_normal.py',
    'self._distribution = tfd.TruncatedNormal(self._whole.loc, std, -1.0, 1.0)',
    'self._distribution = tfd.TruncatedNormal(self._whole.loc, std, -9.0, 9.0)',
    'action_distributions_test.py::test_the_density_is_that_of_the_draws',
  ),
  Fault(
    'the draw of a choice has no gradient',
    'agents/action_distributions/one_hot.py',
    'return draw + self._probs - tf.stop_gradient(self._probs)',
    'return draw + 0.0 * self._probs',
    'action_distributions_test.py'
    '::test_one_hot_draws_by_its_probabilities_with_their_gradient',
  ),
  Fault(
    'gradients are not clipped',
    'agents/optimizers.py',
    'gradients, norm = tf.clip_by_global_norm(gradients, self._clip)',
    'gradients, norm = tf.clip_by_global_norm(gradients, 1e9)',
    'optimizers_test.py::test_a_long_gradient_is_shortened_and_its_length_told',
  ),
  Fault(
    'a step counts itself twice in the correction of its moments',
    'agents/optimizers.py',
    'count = tf.cast(replicas.own(adam.iterations) + 1, tf.float32)',
    'count = tf.cast(replicas.own(adam.iterations) + 2, tf.float32)',
    'optimizers_test.py::test_two_updates_of_adam_by_hand',
  ),
)

STORE = (
  Fault(
    'a chunk may begin one row late, and end in padding',
    'data/sampling.py',
    "side='right')",
    "side='left')",
    'store_test.py::test_every_place_is_drawn_as_often',
  ),
  Fault(
    'padding is no padding',
    'data/sampling.py',
    "chunk.pop('mask')[:real] = 1",
    "chunk.pop('mask')[:] = 1",
    'store_test.py::test_short_episodes_are_padded_at_the_end',
  ),
  Fault(
    'the last reward is repeated in padding',
    'data/sampling.py',
    "ends = key in ('action', 'reward', *rows.FLAGS)",
    "ends = key in ('action', *rows.FLAGS)",
    'store_test.py::test_short_episodes_are_padded_at_the_end',
  ),
  Fault(
    'episodes that were collected meanwhile are drawn from',
    'data/store.py',
    'return self._files[:limit], self._shapes, self._row_counts()[:limit]',
    'return self._files[:], self._shapes, self._row_counts()[:]',
    'store_test.py::test_a_sample_is_a_pure_function_of_seed_and_episodes',
  ),
  Fault(
    'every batch is the first one',
    'data/store.py',
    'return self._drawn(of, batch, length, (*seed, number), **options)',
    'return self._drawn(of, batch, length, (*seed, 0), **options)',
    'store_test.py::test_batches_are_prepared_in_order',
  ),
  Fault(
    'less is deleted than the capacity asks for',
    'data/store.py',
    'surplus -= self._env_steps(old[-1])',
    'surplus -= 2 * self._env_steps(old[-1])',
    'store_test.py::test_as_many_make_way_as_are_in_the_way',
  ),
  Fault(
    'a reset counts as a step',
    'data/index.py',
    'return self._rows - len(self._files)',
    'return self._rows',
    'store_test.py::test_counts_come_from_disk',
  ),
  Fault(
    'a chunk has the first rows of its episode',
    'data/episode_files.py',
    'begin = offset + start * (len(view) // len(out))',
    'begin = offset',
    'store_test.py::test_every_place_is_drawn_as_often',
  ),
  Fault(
    'numbers of others are read in our order of bytes',
    'data/episode_files.py',
    'stored = np.empty_like(out, columns[key][0])',
    "stored = np.empty_like(out, columns[key][0].newbyteorder('='))",
    'archive_test.py::test_its_rows_are_those_of_the_file',
  ),
  Fault(
    'every file is looked at with each episode that is added',
    'data/folder.py',
    'if held.writer is not self._me:',
    'if True:',
    'index_file_test.py::'
    'test_a_store_of_many_episodes_takes_no_more_than_one_of_few',
  ),
  Fault(
    'the end of an episode is not told',
    'data/rows.py',
    "'discount': [1, *(timestep.discount for timestep in timesteps[1:])],",
    "'discount': [1, *(1.0 for timestep in timesteps[1:])],",
    'collect_test.py::test_the_task_ends_it_or_time_does',
  ),
  Fault(
    'the steps of others count against the budget of a run',
    'data/index.py',
    'return self.env_steps - self._others_steps + self._deleted.env_steps',
    'return self.env_steps + self._deleted.env_steps',
    'store_test.py::test_what_others_did_is_no_step_of_the_run',
  ),
)

LOOP = (
  Fault(
    'the last evaluation has parameters from before the last updates',
    'agents/runs/loop.py',
    'self.experience.heldout\n    self._act_as_learned()',
    'self.experience.heldout\n    self._act_as_learned',
    'loop_test.py::test_who_acts_has_the_parameters_of_its_time',
  ),
  Fault(
    'who acts beside the learner is never told what was learned',
    'agents/runs/loop.py',
    'self._act_as_learned()\n      collected',
    'self._act_as_learned\n      collected',
    'loop_test.py::test_who_acts_has_the_parameters_of_its_time',
  ),
  Fault(
    'averages that act are never renewed',
    'agents/runs/loop.py',
    'self._act_as_learned()\n      values',
    'self._act_as_learned\n      values',
    'loop_test.py::test_who_acts_has_the_parameters_of_its_time',
  ),
  Fault(
    'an episode is learned from while it is collected',
    'agents/runs/loop.py',
    'limit=max(1, store.before(episode)),',
    'limit=None,',
    'loop_test.py::test_updates_are_functions_of_their_numbers',
  ),
  Fault(
    'each episode begins with the same batches',
    'agents/runs/learning.py',
    'start=self.updates,',
    'start=0,',
    'loop_test.py::test_updates_are_functions_of_their_numbers',
  ),
  Fault(
    'all updates draw the same noise',
    'agents/runs/learning.py',
    'tf.constant([seed, self.updates], tf.int32)',
    'tf.constant([seed, 0], tf.int32)',
    'loop_test.py::test_updates_are_functions_of_their_numbers',
  ),
  Fault(
    'figures are sums over updates',
    'agents/runs/learning.py',
    'values = {key: float(value) / count for key, value in sums.items()}',
    'values = {key: float(value) for key, value in sums.items()}',
    'loop_test.py::test_updates_are_functions_of_their_numbers',
  ),
  Fault(
    'held-out random episodes are those of training',
    'agents/runs/experience.py',
    '(self.heldout, HELDOUT)',
    '(self.heldout, COLLECT)',
    'experience_test.py::test_random_episodes_are_in_both_stores_and_unlike',
  ),
  Fault(
    'evaluations while training explore',
    'agents/runs/experience.py',
    'missing, self._seed(EVALUATE, number), explore=False',
    'missing, self._seed(EVALUATE, number), explore=True',
    'experience_test.py::test_held_out_episodes_of_the_agent',
  ),
  Fault(
    'the last evaluation explores',
    'agents/runs/experience.py',
    'explore=False,\n    ):\n      returns',
    'explore=True,\n    ):\n      returns',
    'experience_test.py::test_the_last_evaluation_is_kept_nowhere',
  ),
  Fault(
    'the program `evaluate` explores',
    'agents/runs/evaluation.py',
    'range(len(seeds)), seeds.__getitem__, explore=False',
    'range(len(seeds)), seeds.__getitem__, explore=True',
    'evaluation_test.py::test_a_return_is_the_sum_of_an_episodes_rewards',
  ),
  Fault(
    'PlaNet explores wherever it acts',
    'agents/planet.py',
    'action = tf.where(explore, noisy, action)',
    'action = tf.where(explore, noisy, noisy)',
    'planet_test.py::test_policy_filters_plans_and_explores',
  ),
  Fault(
    'dreams in averaged weights start from states of the newest',
    'agents/agent.py',
    'return model, model.observe(batch, seed=seed)[0]',
    'return model, self.model.observe(batch, seed=seed)[0]',
    'dreamer_test.py::test_behavior_is_learned_in_the_weights_that_are_named',
  ),
  Fault(
    'a model with other weights has its own',
    'worldmodels/reweighted.py',
    'for weight in self._weights]',
    'for weight in self._model.trainable_variables]',
    'reweighted_test.py::test_it_is_a_copy_with_these_weights',
  ),
  Fault(
    'Dreamer explores wherever it acts',
    'agents/dreamer.py',
    'action, kept = tf.cond(explore, explored, done)',
    'action, kept = tf.cond(explore, explored, explored)',
    'dreamer_test.py::test_without_exploring_the_mode_is_done',
  ),
  Fault(
    'the action without exploring is a draw',
    'agents/learners/actor_critic.py',
    'return self.actor.mode(features, seed)',
    'return self.actor.sample(features, seed)[0]',
    'dreamer_test.py::test_without_exploring_the_mode_is_done',
  ),
  Fault(
    'noise on actions has deviation 1',
    'agents/exploration.py',
    'return tf.clip_by_value(action + noise * draw, -1.0, 1.0)',
    'return tf.clip_by_value(action + draw, -1.0, 1.0)',
    'exploration_test.py::test_noise_on_continuous_actions_is_clipped',
  ),
  Fault(
    'pink noise remembers a single step',
    'agents/exploration.py',
    "return noisy, {'noise': parts}",
    "return noisy, {'noise': draw}",
    'exploration_test.py::test_pink_noise_begins_anew_with_an_episode_and_is_of_each_member',
  ),
  Fault(
    'an agent forgets what it has seen at every step',
    'agents/runs/collect.py',
    'action, state = agent.policy(',
    'action, _ = agent.policy(',
    'collect_test.py::test_an_agents_state_and_seeds_go_from_step_to_step',
  ),
  Fault(
    'random episodes are measured as those of the policy',
    'agents/runs/evaluation.py',
    "('policy', positions),",
    "('policy', range(config.train.seed_episodes)),",
    'evaluation_test.py::test_random_and_policy_episodes_are_kept_apart',
  ),
  Fault(
    'an agent is evaluated one episode late',
    'agents/runs/schedule.py',
    'return later % self.evaluate.every == 0',
    'return later % self.evaluate.every == 1',
    'schedule_test.py::test_worked_by_hand',
  ),
  Fault(
    'the discount of an action that is held is that of its last step',
    'data/environments.py',
    'discount *= observations.discount(timestep.discount)',
    'discount = observations.discount(timestep.discount)',
    'experience_test.py::test_what_is_stored_is_what_happened',
  ),
  Fault(
    'a vector of rows and columns is stored by its columns',
    'data/observations.py',
    'vector = vector.reshape(-1)',
    "vector = vector.reshape(-1, order='F')",
    'experience_test.py::test_what_is_stored_is_what_happened',
  ),
)

RESUME = (
  Fault(
    'averages of an exported run are those of its start',
    'agents/runs/restore.py',
    'restored.begin_averages()',
    'pass',
    'export_test.py::test_it_acts_as_the_run_does',
  ),
  Fault(
    'the optimizers begin anew when a run goes on',
    'agents/learning_agent.py',
    'for variable in list(layer.variables) + optimizer.slots',
    'for variable in list(layer.variables)',
    'agents_test.py::test_every_variable_is_in_the_state_under_its_own_name',
  ),
  Fault(
    'slow critic and return range begin anew when a run goes on',
    'agents/learning_agent.py',
    'return optimized + self.extra_variables',
    'return optimized',
    'agents_test.py::test_every_variable_is_in_the_state_under_its_own_name',
  ),
  Fault(
    'a run that was stopped counts its updates from 0',
    'agents/runs/learning.py',
    "(counters or {}).get('updates', 0)",
    '0',
    'loop_test.py::test_a_run_that_was_stopped_ends_as_it_would_have',
  ),
  Fault(
    'a run that was stopped counts its time from 0',
    'agents/runs/metrics.py',
    'self._start = time.monotonic() - wall_seconds',
    'self._start = time.monotonic()',
    'metrics_test.py::test_wall_time_goes_on',
  ),
  Fault(
    'the first checkpoints are kept, and not the last',
    'agents/runs/checkpoint.py',
    'for old in done[:-keep]:',
    'for old in done[keep:]:',
    'checkpoint_test.py::test_newest_comes_back_and_the_last_stay',
  ),
  Fault(
    'the oldest checkpoint is restored',
    'agents/runs/checkpoint_list.py',
    'for path in reversed(found):',
    'for path in found:',
    'checkpoint_test.py::test_newest_comes_back_and_the_last_stay',
  ),
  Fault(
    'the checksum of a checkpoint is not compared',
    'agents/runs/checkpoint_files.py',
    'if checksum not in (None, _checksum(large, counters)):',
    'if checksum in (0, _checksum):',
    'checkpoint_test.py::test_any_damage_falls_back',
  ),
  Fault(
    'the line of the last checkpoint is lost',
    'agents/runs/metrics.py',
    "if figures['updates'] <= updates and not goes_on:",
    "if figures['updates'] < updates and not goes_on:",
    'metrics_test.py::test_lines_past_the_checkpoint_are_dropped',
  ),
  Fault(
    'events of updates that are done again stay',
    'agents/runs/events.py',
    'if not all(stays):',
    'if not stays:',
    'metrics_test.py::test_no_event_is_there_twice_where_a_run_goes_on',
  ),
  Fault(
    'the weights that are restored are not those that act',
    'agents/runs/restore.py',
    'restored.use_averages()',
    'restored.copy_from',
    'restore_test.py::test_an_agent_comes_back_with_the_weights_that_act',
  ),
  Fault(
    'an actor gets the weights that are trained, not their average',
    'agents/learning_agent.py',
    'zip(mine.trainable_variables, optimizer.averages, strict=True)',
    'zip(mine.trainable_variables, theirs.trainable_variables, strict=True)',
    'agent_test.py::test_an_actor_copies_what_its_learner_learned_or_its_average',
  ),
  Fault(
    'the held-out episodes of all evaluations are alike',
    'agents/runs/experience.py',
    'missing, self._seed(EVALUATE, number), explore=False',
    'missing, self._seed(EVALUATE), explore=False',
    'experience_test.py::test_held_out_episodes_of_the_agent',
  ),
)

GYMNASIUM = (
  Fault(
    'an episode that was cut has ended',
    'data/gymnasium_tasks.py',
    'return dm_env.truncation(reward, observed)',
    'return dm_env.termination(reward, observed)',
    'gymnasium_tasks_test.py::test_a_truncated_episode_has_not_ended',
  ),
  Fault(
    'every episode begins as the first one did',
    'data/gymnasium_tasks.py',
    'seed, self._seed = self._seed, None',
    'seed = self._seed',
    'gymnasium_tasks_test.py::test_the_same_seed_gives_the_same_start',
  ),
  Fault(
    'choices are told by the index, not by their own numbers',
    'data/gymnasium_tasks.py',
    'action = int(action) + self._first',
    'action = int(action)',
    'gymnasium_tasks_test.py::test_choices_are_told_by_their_own_numbers',
  ),
  Fault(
    'pictures are made smaller by leaving pixels out',
    'data/frames.py',
    'interpolation=cv2.INTER_AREA',
    'interpolation=cv2.INTER_NEAREST',
    'frames_test.py::test_pixels_are_means_over_areas',
  ),
  Fault(
    'left and right of a picture are taken for top and bottom',
    'data/frames.py',
    'top, bottom, left, right = self.crop',
    'left, right, top, bottom = self.crop',
    'frames_test.py::test_what_is_cropped_is_not_seen',
  ),
  Fault(
    'the budget is looked at after one episode too many',
    'agents/runs/schedule.py',
    'return 0 < self.train.env_steps <= env_steps',
    'return 0 < self.train.env_steps < env_steps',
    'schedule_test.py::test_the_budget_in_steps_is_spent_or_not',
  ),
  Fault(
    'the mean of a vector is that of its copy',
    'worldmodels/prediction.py',
    "found[f'mean_{key}'] = nats(mean)",
    "found[f'mean_{key}'] = found[f'copy_{key}']",
    'prediction_test.py::test_where_there_is_no_image_vectors_are_compared',
  ),
)

STEERING = (
  Fault(
    'the critic of the task counts for another objective',
    'agents/planner.py',
    'objective, value = self.objective, None',
    'objective, value = self.objective, value',
    'objectives_test.py::test_the_value_of_the_task_does_not_count_for_another_objective',
  ),
  Fault(
    'the reset counts in the sum of an objective',
    'agents/objectives.py',
    'tf.reduce_sum(found[:, 1:], 1)',
    'tf.reduce_sum(found, 1)',
    'objectives_test.py::test_the_sum_over_real_episodes_is_of_what_was_seen',
  ),
  Fault(
    'what was observed is decoded all the same',
    'agents/objectives.py',
    'Decoded(model, state, known), name',
    'Decoded(model, state), name',
    'objectives_test.py::test_the_sum_over_real_episodes_is_of_what_was_seen',
  ),
  Fault(
    'a goal is far from itself, by its depth of color',
    'agents/goals.py',
    'target = 255.0 * (model.pixels(tf.constant(image)) + 0.5)',
    'target = 255.0 * model.pixels(tf.constant(image))',
    'objectives_test.py::test_the_goal_in_pixels_is_half_the_squared_error',
  ),
  Fault(
    'a goal has its colors the wrong way round',
    'agents/runs/goal_image.py',
    'image[..., ::-1].copy()',
    'image.copy()',
    'objectives_test.py::test_flags_make_what_they_say',
  ),
  Fault(
    'actions between images are taken for those after them',
    'agents/runs/inputs.py',
    'np.concatenate([none, found], -2)',
    'np.concatenate([found, none], -2)',
    'inputs_test.py::test_actions_led_to_images_or_lie_between_them',
  ),
  Fault(
    'an episode that goes on begins again',
    'agents/runs/inputs.py',
    'is_first[:, 0] = begins',
    'is_first[:, 0] = True',
    'inputs_test.py::test_actions_led_to_images_or_lie_between_them',
  ),
  Fault(
    'a number of another planner loses its fraction',
    'agents/runs/overrides.py',
    'value = float(value)',
    'value = int(value)',
    'overrides_test.py::test_texts_become_values_of_the_keys_type',
  ),
  Fault(
    'the first half of an episode is taken for the last',
    'agents/runs/witness.py',
    'rows[len(rows) // 2 :]',
    'rows[: len(rows) // 2]',
    'witness_test.py::test_the_last_half_of_each_episode_counts',
  ),
  Fault(
    'the reward of the step that ends an episode is not expected',
    'worldmodels/imagination.py',
    'alive = tf.math.cumprod(model.discount(found), 1, exclusive=True)',
    'alive = tf.math.cumprod(model.discount(found), 1)',
    'imagination_test.py::'
    'test_what_comes_after_the_end_of_an_episode_is_worth_nothing',
  ),
)

RECORDED = (
  Fault(
    'discounts of RLDS are in the row before',
    'data/formats/rlds.py',
    'discount = recordings.moved_down(discount[:-1])',
    'discount = discount.copy()',
    'odd_recordings_test.py::test_discounts_between_0_and_1_are_read_again',
  ),
  Fault(
    'what followed on a row comes two rows later',
    'data/recordings.py',
    'return np.concatenate([reset, outcome])',
    'return np.concatenate([0 * outcome[:1], outcome[:1], outcome[:-1]])',
    'formats_test.py::test_each_row_of_a_sample_is_in_its_place',
  ),
  Fault(
    'the row of a step is written as that of the one before',
    'data/formats/rlds.py',
    'return np.concatenate([value[1:], np.zeros_like(value[:1])])',
    'return value.copy()',
    'formats_test.py::test_what_is_written_is_read_again',
  ),
  Fault(
    'images of V-D4RL lie on their side',
    'data/formats/vd4rl.py',
    'images = images.transpose(0, 2, 3, 1)',
    'images = images.transpose(0, 3, 2, 1)',
    'formats_test.py::test_each_row_of_a_sample_is_in_its_place',
  ),
  Fault(
    'the bounds of actions are half as wide',
    'data/recorded.py',
    'width = self.high - self.low',
    'width = (self.high - self.low) / 2',
    'formats_test.py::test_actions_are_scaled_to_their_bounds',
  ),
)

TRUST = (
  Fault(
    'the tight bound is the classic one',
    'worldmodels/simulation_lemma.py',
    'together = np.power(1.0 - transition, step)',
    'together = 1.0 - transition * step',
    'simulation_lemma_test.py::test_three_steps_by_hand',
  ),
  Fault(
    'the bound without end forgets a discount',
    'worldmodels/simulation_lemma.py',
    'parted = gamma * transition / (1 - gamma) * together',
    'parted = transition / (1 - gamma) * together',
    'simulation_lemma_test.py::test_both_bounds_of_known_errors',
  ),
  Fault(
    'the goal of the maze is left again',
    'worldmodels/tabular.py',
    'after = cell if cell == _GOAL or after not in number else after',
    'after = cell if after not in number else after',
    'tabular_test.py::test_the_maze_is_that_of_the_book',
  ),
  Fault(
    'regret is that of the policy that was given',
    'worldmodels/tabular.py',
    'regret=float((value - world.value(chosen)).max()),',
    'regret=float((value - world.value(policy)).max()),',
    'tabular_test.py::test_regret_is_what_the_model_makes_one_lose',
  ),
  Fault(
    'an audit replays each action a step late',
    'agents/runs/starts.py',
    "action=episode['action'][after] * counts[..., None],",
    "action=episode['action'][after - 1] * counts[..., None],",
    'audit_test.py::test_actions_are_those_that_led_to_what_came',
  ),
  Fault(
    'nothing is cut off after the end of an episode',
    'agents/runs/starts.py',
    'counts = there.astype(np.float32)',
    'counts = np.ones_like(there, np.float32)',
    'audit_test.py::test_after_an_end_nothing_comes',
  ),
  Fault(
    'the bounds of an audit know nothing of ends',
    'agents/runs/audit.py',
    'np.minimum(apart + ending, 1.0)',
    'np.minimum(apart, 1.0)',
    'audit_test.py::test_ends_that_are_predicted_wrongly_are_in_the_bounds',
  ),
  Fault(
    'a reward of no weight is learned ahead',
    'worldmodels/world_model.py',
    'if not self._scales.get(key):',
    'if key not in self._scales:',
    'world_model_test.py::'
    'test_a_reward_that_is_not_learned_is_not_learned_ahead_either',
  ),
  Fault(
    'starts in one episode count as if they were independent',
    'agents/runs/audit.py',
    'if len(means) > 1:',
    'if len(difference) > 1:',
    'audit_test.py::test_the_error_of_the_gap_is_that_of_episodes',
  ),
  Fault(
    'what is not agreed about is that of the state after',
    'agents/curiosity.py',
    'before = states.join(first, states.between(found, None, -1))',
    'before = found',
    'curiosity_test.py::test_the_reward_of_a_step_is_of_the_state_before_it',
  ),
  Fault(
    'a reset teaches what its action led to',
    'agents/plan2explore.py',
    "weight = tf.reshape(batch['mask'][:, 1:] * led, [-1])",
    "weight = tf.reshape(batch['mask'][:, 1:] * tf.ones_like(led), [-1])",
    'plan2explore_test.py::test_a_reset_teaches_the_ensemble_nothing',
  ),
  Fault(
    'curiosity learns on features that no planner asks about',
    'agents/plan2explore.py',
    'model, posterior = self.averaged(batch, seed)',
    'model, _ = self.averaged(batch, seed)',
    'plan2explore_test.py::'
    'test_it_learns_on_the_features_that_it_is_asked_about',
  ),
)

MODEL_FREE = (
  Fault(
    'a transition has the action that led to what is seen',
    'agents/transitions.py',
    'following = tf.minimum(place + 1,',
    'following = tf.minimum(place + 0,',
    'transitions_test.py::test_a_transition_is_told_in_the_order_of_time',
  ),
  Fault(
    'a return goes on over a reset',
    'agents/transitions.py',
    '& (real > 0) & ~first',
    '& (real > 0)',
    'transitions_test.py::test_returns_of_three_steps',
  ),
  Fault(
    'what comes after an end counts',
    'agents/transitions.py',
    'tf.where(going, gamma * end, 1.0)',
    'tf.where(going, gamma + 0.0 * end, 1.0)',
    'transitions_test.py::test_returns_of_three_steps',
  ),
  Fault(
    'a stack reaches over a reset',
    'agents/transitions.py',
    'stays = tf.gather(is_first, newest, batch_dims=1) | (newest == 0)',
    'stays = newest == 0',
    'transitions_test.py::test_a_stack_has_the_rows_before_in_their_order',
  ),
  Fault(
    'the last steps of an episode are never learned from',
    'agents/transitions.py',
    '((row + steps < length) | (row <= last_end))',
    '((row + steps < length) | (row < last_end - length))',
    'transitions_test.py::test_where_a_transition_may_start',
  ),
  Fault(
    'who acts has its frames the other way round',
    'agents/stacks.py',
    'moved = tf.concat([stack[..., size:], value], -1)',
    'moved = tf.concat([value, stack[..., :-size]], -1)',
    'stacks_test.py::test_who_acts_sees_what_is_learned_from',
  ),
  Fault(
    'images are shifted across alone',
    'agents/stacks.py',
    'down = _within(down - shift[:, :1], height)',
    'down = _within(down - 0 * shift[:, :1], height)',
    'stacks_test.py::test_a_shift_moves_down_and_right_and_repeats_the_edge',
  ),
  Fault(
    'the higher of two critics is believed',
    'agents/twin_critics.py',
    'return tf.reduce_min(self(embed, action), 0)',
    'return tf.reduce_max(self(embed, action), 0)',
    'twin_critics_test.py::test_the_lower_of_two_values',
  ),
  Fault(
    'critics are their own target',
    'agents/soft_actor_critic.py',
    'self._slow, step.after, ',
    'self.critics, step.after, ',
    'soft_actor_critic_test.py'
    '::test_what_is_learned_is_rewards_and_the_lower_slow_value_and_entropy',
  ),
  Fault(
    'returns have no entropy',
    'agents/soft_actor_critic.py',
    'rest = value + self._temperature.value * entropy',
    'rest = value + 0.0 * entropy',
    'soft_actor_critic_test.py'
    '::test_the_entropy_is_that_of_the_action_that_is_valued',
  ),
  Fault(
    'the temperature falls where there is too little entropy',
    'agents/soft_actor_critic.py',
    'return self.value * excess',
    'return -self.value * excess',
    'soft_actor_critic_test.py'
    '::test_a_nat_is_worth_more_while_there_are_too_few',
  ),
  Fault(
    'the actor teaches the encoder',
    'agents/soft_actor_critic.py',
    'embed = tf.stop_gradient(step.embed)',
    'embed = tf.identity(step.embed)',
    'soft_actor_critic_test.py'
    '::test_the_critics_teach_what_is_seen_and_the_actor_does_not',
  ),
)

# Sweeps, and what they look for.
SWEEPS = (
  Fault(
    'the mean over seeds has those that are not done',
    'agents/sweeps/tables.py',
    'done = [row for row in group if _is_done(row)]',
    'done = [*group]',
    'sweep_test.py::test_the_mean_is_that_of_the_seeds_that_are_done',
  ),
  Fault(
    'a finished run of any config counts as that of the job',
    'agents/sweeps/standing.py',
    'if not _is_of(job, config):',
    'if _is_of(job, config) is None:',
    'sweep_test.py::'
    'test_a_finished_run_of_another_config_is_not_that_of_the_job',
  ),
  Fault(
    'a program outlives the sweep that was killed',
    'agents/programs/bound.py',
    'prctl(_PARENT_DEATH, number)',
    'prctl(_PARENT_DEATH, 0)',
    'sweep_test.py::test_a_program_ends_with_the_process_that_started_it',
  ),
  Fault(
    'a sweep takes the evaluation of an old checkpoint for the newest',
    'agents/sweeps/standing.py',
    "found.get('checkpoint') != lines[-1]['updates']",
    "found.get('checkpoint') is None",
    'sweep_test.py::test_what_is_missing_is_made_again_and_nothing_else',
  ),
  Fault(
    'all jobs of a sweep have the same cores',
    'agents/sweeps/local.py',
    'list(things[place::count])',
    'list(things[:1])',
    'sweep_test.py::test_each_at_a_time_has_cores_of_its_own',
  ),
  Fault(
    'an evaluation is played again with a seed of training',
    'agents/runs/true_states.py',
    'self._seed, seeds.EVALUATE, before, number',
    'self._seed, seeds.COLLECT, before, number',
    'probe_test.py::test_an_evaluation_has_seeds_of_its_own',
  ),
  Fault(
    'two runs on a node of a cluster have the same cores',
    'agents/cluster/core_shares.py',
    'taken.bind(_NAME.format(number))',
    'taken.bind(_NAME.format(os.urandom(8)))',
    'cluster_sweeping_test.py::test_cores_are_taken_by_one_at_a_time',
  ),
  Fault(
    'a run on a cluster ends before its files are seen',
    'agents/cluster/sweeping.py',
    '.items() >= outcome.left.items()',
    '.keys() >= outcome.left.keys()',
    'cluster_sweeping_test.py::test_files_are_those_that_the_node_has_left',
  ),
  Fault(
    'a node with other code gets runs',
    'agents/cluster/node.py',
    'if mine != code:',
    'if not code:',
    'cluster_sweeping_test.py::test_what_a_node_lacks',
  ),
  Fault(
    'runs that wait count as those of an earlier command',
    'agents/sweeps/outcome.py',
    "self._rows[entry.job.path]['state'] = entry.state",
    "self._rows[entry.job.path]['state'] = results.EARLIER",
    'sweep_test.py::test_a_run_that_waits_is_not_of_an_earlier_command',
  ),
)


REPLICAS = (
  Fault(
    'the halves of what is told of weights are exchanged',
    'agents/runs/team_workers.py',
    "struct.pack('<2I', low, high)",
    "struct.pack('<2I', high, low)",
    'team_workers_test.py::test_what_is_told_bears_the_sum_over_a_machine',
  ),
  Fault(
    'each replica steps by the gradient of its own rows',
    'agents/optimizers.py',
    'loss, *gradients = replicas.mean([loss, *gradients])',
    'loss, *gradients = [loss, *gradients]',
    'replicas_test.py::test_their_weights_are_those_of_one',
  ),
  Fault(
    'a sum over the batch is that of one share',
    'worldmodels/replicas.py',
    'return tf.unstack(summed(tf.stack(values)), len(values))',
    'return list(values)',
    'replicas_test.py::test_two_replicas_find_what_one_does',
  ),
  Fault(
    'the gradient of a sum over the batch is that of one share',
    'worldmodels/replicas.py',
    'lambda upstream: size * upstream',
    'lambda upstream: upstream',
    'replicas_test.py::test_their_weights_are_those_of_one',
  ),
  Fault(
    'replicas draw the same noise for different rows',
    'worldmodels/replicas.py',
    'return share(sampler(sizes, seed), axis)',
    'return sampler(_sizes(shape), seed)',
    'replicas_test.py::test_two_replicas_find_what_one_does',
  ),
  Fault(
    'a share that is not finite is skipped by its replica alone',
    'worldmodels/replicas.py',
    '(wrong,) = total(tf.cast(~flag, tf.float32))',
    'wrong = tf.cast(~flag, tf.float32)',
    'replicas_test.py::test_two_replicas_find_what_one_does',
  ),
)

ENSEMBLE = (
  Fault(
    'dynamics of one member are said to disagree',
    'worldmodels/disagreement.py',
    'return members_of(model) > 1 or own not in (None, Dynamics.spread)',
    'return members_of(model) > 0 or own not in (None, Dynamics.spread)',
    'several_members_test.py::'
    'test_dynamics_of_the_users_are_asked_where_they_are_there[planner0-risk]',
  ),
  Fault(
    'a particle that keeps its member is led by another one',
    'worldmodels/dynamics/ensemble.py',
    'chosen = tf.where(of_none[..., 0], member, committed)',
    'chosen = tf.where(of_none[..., 0], member, member)',
    'ensemble_test.py::test_draws_of_no_member_are_those_of_all',
  ),
  Fault(
    'only the first member learns from the KL',
    'worldmodels/dynamics/ensemble.py',
    'tf.reduce_mean(self._latent.divergence(posterior, prior), -1)',
    'self._latent.divergence(posterior, prior)[..., 0]',
    'ensemble_test.py::test_the_divergence_is_the_mean_of_that_of_each_member',
  ),
  Fault(
    'members are dealt without regard to those beside them',
    'worldmodels/dynamics/ensemble.py',
    'member = tf.cast(tf.range(total) % self.members, tf.float32)',
    'member = tf.zeros([total])',
    'ensemble_test.py::test_particles_of_a_state_are_dealt_evenly',
  ),
  Fault(
    'TS1 keeps its members',
    'worldmodels/trajectories.py',
    'return self.drawn(number).step(model, carry, now[',
    'return self.drawn(0).step(model, carry, now[',
    'trajectories_test.py::test_members_that_change_at_every_step_are_like_noise',
  ),
  Fault(
    'pessimism is optimism',
    'worldmodels/trajectories.py',
    "_SIGNS = {'optimism': 1.0, 'pessimism': -1.0}",
    "_SIGNS = {'optimism': 1.0, 'pessimism': 1.0}",
    'trajectories_test.py::test_every_planner_plans_by_the_risk',
  ),
  Fault(
    'epistemic uncertainty is the entropy of the output',
    'worldmodels/uncertainty.py',
    'epistemic = tf.math.reduce_variance(mean, -2)',
    'epistemic = tf.math.reduce_variance(mean, -2) + aleatoric',
    'uncertainty_test.py::test_variance_is_split_by_hand',
  ),
  Fault(
    'disagreement is correlated with itself',
    'worldmodels/disagreement.py',
    "found | {'disagreement_correlation': correlation(apart, first)}",
    "found | {'disagreement_correlation': correlation(apart, apart)}",
    'disagreement_test.py::test_who_doubts_where_it_errs_is_right_about_it',
  ),
  Fault(
    'a plan is followed for a step less',
    'agents/planner.py',
    'min(self.replan, made.shape[1])',
    'min(self.replan - 1, made.shape[1])',
    'planner_test.py::test_a_plan_is_followed_for_as_long_as_it_is_told',
  ),
  Fault(
    'a plan that is too short is followed past its end',
    'agents/planner.py',
    'min(self.replan, made.shape[1])',
    'self.replan',
    'planner_test.py::test_a_shorter_plan_is_not_followed_past_its_end',
  ),
)

CLUSTER = (
  Fault(
    'the learner runs ahead of its collectors',
    'agents/cluster/limiter.py',
    'updates_before(stored + 1)',
    'updates_before(stored + 2)',
    'cluster_limiter_test.py::test_updates_wait_for_episodes',
  ),
  Fault(
    'collectors run ahead of the learner',
    'agents/cluster/limiter.py',
    'episodes_at(updates) + lead',
    'episodes_at(updates) + lead + 1',
    'cluster_limiter_test.py::test_a_lead_of_none_is_the_schedule_of_one_process',
  ),
  Fault(
    'an episode that comes twice is stored twice',
    'agents/cluster/leases.py',
    'self._open.pop(lease.job.key, None) is not None',
    'self._open.pop(lease.job.key, True) is not None',
    'cluster_leases_test.py::test_the_second_answer_is_told_from_the_first',
  ),
  Fault(
    'the number of a collector that died is given to nobody',
    'agents/cluster/leases.py',
    'self._again.append((lease.job, lease.payload))',
    'pass',
    'cluster_leases_test.py::'
    'test_what_is_lost_is_leased_again_with_what_it_was_done_with',
  ),
  Fault(
    'a run waits for ever for an episode that was missed long ago',
    'agents/cluster/numbers.py',
    'number is None or number < due',
    'number is None',
    'cluster_numbers_test.py::'
    'test_what_is_due_is_collected_whatever_the_limiter_says',
  ),
  Fault(
    'random episodes depend on whether collectors made them',
    'agents/cluster/random_actions.py',
    '_ROUNDS = 10',
    '_ROUNDS = 9',
    'cluster_random_actions_test.py::test_numbers_are_those_of_tensorflow',
  ),
  Fault(
    'the first of several learners alone learns from what comes meanwhile',
    'agents/runs/team_workers.py',
    'fixed = True',
    'fixed = False',
    'team_workers_test.py::test_all_learn_from_the_episodes_of_the_beginning',
  ),
  Fault(
    'a sweep waits for ever for nodes that it has refused',
    'agents/cluster/sweeping.py',
    'if all(command.waits() for command in self._commands):',
    'if not self._commands:',
    'cluster_sweeping_test.py::test_code_that_was_changed_meanwhile_ends_it',
  ),
  Fault(
    'a process is killed whose id another one had before',
    'agents/cluster/processes.py',
    'if process.started and process == of(process.pid):',
    'if process.started:',
    'cluster_processes_test.py::test_no_other_is_killed_in_its_place',
  ),
  Fault(
    'that collectors are missing is told only where all are',
    'agents/cluster/pool.py',
    'if there == self.count:',
    'if there:',
    'cluster_collecting_test.py::'
    'test_who_is_not_there_is_told_whatever_others_do',
  ),
)

# As docs/faults.md has them.
GROUPS = {
  'losses, heads, overshooting, open-loop errors': LOSSES,
  'RSSM': RSSM,
  'planners': PLANNER,
  'actor, critic, dreams, optimizer': ACTOR_CRITIC,
  'store': STORE,
  'loop, evaluation, exploration': LOOP,
  'resume': RESUME,
  'tasks of Gymnasium, frames, budgets': GYMNASIUM,
  'objectives, goals, steering a dream': STEERING,
  'recorded data': RECORDED,
  'audits, exploration by disagreement': TRUST,
  'the agent without a model': MODEL_FREE,
  'sweeps': SWEEPS,
  'ensembles': ENSEMBLE,
  'replicas of learners': REPLICAS,
  'clusters': CLUSTER,
}
FAULTS = tuple(fault for group in GROUPS.values() for fault in group)
