"""What of a config does not suit its task is named, without TensorFlow."""

import subprocess
import sys

import pytest

from worldmodels.agents.runs import build
from worldmodels.agents.runs import task_checks
from worldmodels.configs import dreamer
from worldmodels.configs import plan2explore
from worldmodels.configs import planet
from worldmodels.spec import Spec

ONE = Spec(actions=1)
CHOICES = Spec(actions=3, discrete=True)
SEEN = Spec(actions=1, vectors={'position': 1, 'velocity': 2})


def refused(config, spec, message):
  with pytest.raises(build.ConfigError, match=message) as caught:
    task_checks.check(config, spec)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('spec', [ONE, CHOICES, SEEN])
@pytest.mark.parametrize('configs', [planet, dreamer])
def test_every_preset_suits_every_task(configs, spec):
  for preset in configs.PRESETS:
    for ends_early in (False, True):
      config = build.chosen(configs.get_config(preset), spec, ends_early)
      task_checks.check(config, spec)


def test_a_head_needs_its_vector():
  config = build.chosen(planet.get_config('debug'), SEEN)
  config.heads.velocity = dict(kind='normal', scale=1.0)
  task_checks.check(config, SEEN)
  refused(
    config, ONE, r"^heads.velocity .* environment.vectors=\('velocity',\)"
  )
  half = Spec(actions=1, vectors={'position': 1})
  refused(config, half, r"environment.vectors=\('position', 'velocity'\)")
  config.heads.velocity.kind = 'none'
  task_checks.check(config, ONE)


@pytest.mark.parametrize('name', ['kl', 'divergence', 'overshoot_reward'])
def test_a_head_has_not_the_name_of_another_term(name):
  spec = Spec(actions=1, image=None, vectors={name: 2})
  config = build.chosen(planet.get_config('debug'), spec)
  refused(config, spec, f'^heads.{name} has the name of another term .* rename')


def test_a_planner_is_for_the_actions():
  config = planet.get_config('debug')
  config.planner.kind = 'cem'
  task_checks.check(build.chosen(config, ONE), ONE)
  refused(
    build.chosen(config, CHOICES),
    CHOICES,
    "^planner.kind is 'cem', but the actions .* are discrete: set planner.kind",
  )
  config.planner.kind = 'categorical_cem'
  refused(build.chosen(config, ONE), ONE, 'are continuous: set planner.kind=au')


def test_who_explores_plans_too():
  config = plan2explore.get_config('debug')
  config.planner.kind = 'cem'
  refused(
    build.chosen(config, CHOICES),
    CHOICES,
    "^planner.kind is 'cem', but the actions .* are discrete",
  )


def test_not_all_choices_can_have_a_large_least_probability():
  config = planet.get_config('debug')
  config.planner.min_probability = 0.5
  for kind in ('auto', 'categorical_mppi'):
    config.planner.kind = kind
    refused(
      build.chosen(config, CHOICES),
      CHOICES,
      '^planner.min_probability is 0.5; of 3 choices it is at most 0.333',
    )
  # Of those that have one.
  config.planner.kind = 'categorical_gradient'
  task_checks.check(build.chosen(config, CHOICES), CHOICES)
  config.planner.kind = 'auto'
  task_checks.check(build.chosen(config, ONE), ONE)


def test_an_actor_is_for_the_actions():
  config = dreamer.get_config('debug')
  config.learner.actor.kind = 'bounded_normal'
  refused(build.chosen(config, CHOICES), CHOICES, 'set learner.actor.kind=auto')
  config.learner.actor.kind = 'one_hot'
  refused(build.chosen(config, ONE), ONE, "^learner.actor.kind is 'one_hot'")


def test_a_planner_that_is_not_used_need_not_suit():
  config = dreamer.get_config('paper')
  config.planner.kind = 'cem'
  task_checks.check(build.chosen(config, CHOICES), CHOICES)
  config.acting = 'planner'
  refused(build.chosen(config, CHOICES), CHOICES, "^planner.kind is 'cem'")


def test_kinds_of_the_users_are_not_imported():
  config = dreamer.get_config('debug')
  config.planner.kind = 'lab_of_nobody:plan'
  config.learner.actor.kind = 'lab_of_nobody:Distribution'
  for spec in (ONE, CHOICES):
    task_checks.check(build.chosen(config, spec), spec)
  config.learner.kind = 'lab_of_nobody:Learner'
  del config.learner['actor']
  task_checks.check(build.chosen(config, ONE), ONE)


def test_it_is_checked_before_tensorflow_is_there():
  code = (
    'import sys\n'
    'from worldmodels.agents.runs import build, task_checks\n'
    'from worldmodels.configs import dreamer\n'
    'from worldmodels.spec import Spec\n'
    'spec = Spec(actions=2, discrete=True)\n'
    "config = build.chosen(dreamer.get_config('debug'), spec)\n"
    'task_checks.check(config, spec)\n'
    "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
  )
  subprocess.run([sys.executable, '-c', code], check=True)
