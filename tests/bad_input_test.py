"""What a user may get wrong: one clear line, a status, no trace, nothing lost.

Most of it has to be found before TensorFlow is imported, which takes seconds:
those programs get a TensorFlow that cannot be imported.
"""

import dataclasses
import json
import os
import pathlib
import sys

import numpy as np
import pytest
from absl import flags
from conftest import run_program

from worldmodels.agents.programs import config_flag
from worldmodels.agents.programs import launch
from worldmodels.agents.runs import checkpoint
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.configs import planet
from worldmodels.spec import Spec

ROOT = pathlib.Path(__file__).parent.parent
DEBUG = '--config=planet:debug'
HILL = '--config.task=hill'
CARTPOLE = '--config.task=cartpole_balance'
STRANGE = 'tests.strange_tasks:{}'
NO_EGL = {'MUJOCO_GL': 'egl', '__EGL_VENDOR_LIBRARY_FILENAMES': os.devnull}

# Some of these train on a machine that may have other things to do.
pytestmark = pytest.mark.timeout(900)


def run(program, *flags, path=(), limit=None, **variables):
  """Runs a program; its PYTHONPATH begins with `path`.

  Args:
    program: its name.
    *flags: of the program.
    path: folders.
    limit: bytes to which a file may grow, like a disk that is full.
    **variables: of the environment.
  """
  search = os.pathsep.join([*map(str, path), os.environ.get('PYTHONPATH', '')])
  return run_program(
    *(program, *flags), limit=limit, timeout=600, PYTHONPATH=search, **variables
  )


def told(done):
  """The one line that a program that failed ended with."""
  assert done.returncode in (1, 2), done.stdout + done.stderr
  assert 'Traceback' not in done.stderr + done.stdout, done.stderr
  errors = [line for line in done.stderr.splitlines() if 'error:' in line]
  assert len(errors) == 1 and errors[0].startswith('error: '), done.stderr
  assert done.stderr.endswith(errors[0] + '\n')
  return errors[0]


def contents(directory):
  """{path: bytes} of all that is in a directory."""
  return {
    path: path.read_bytes() if path.is_file() else None
    for path in directory.rglob('*')
  }


@pytest.fixture
def no_tensorflow(tmp_path):
  """A folder with a TensorFlow that cannot be imported."""
  folder = tmp_path / 'no_tensorflow'
  folder.mkdir()
  for name in ('tensorflow', 'keras'):
    (folder / f'{name}.py').write_text('raise RuntimeError("too early")\n')
  return folder


@pytest.fixture
def mujoco_4(tmp_path):
  """A folder that pretends that another MuJoCo is installed."""
  folder = tmp_path / 'mujoco_4'
  metadata = folder / 'mujoco-4.0.0.dist-info' / 'METADATA'
  metadata.parent.mkdir(parents=True)
  metadata.write_text('Metadata-Version: 2.1\nName: mujoco\nVersion: 4.0.0\n')
  return folder


def begun(path, checkpoints=(5, 10), **values):
  """A directory as of a run of the debug preset, for what goes no further."""
  config = planet.get_config('debug')
  for key, value in values.items():
    config[key] = value
  path.mkdir()
  (path / 'config.json').write_text(json.dumps(config.to_dict()))
  (path / 'spec.json').write_text(json.dumps(Spec(actions=1).to_dict()))
  for updates in checkpoints:
    checkpoint.save(path / 'checkpoints', [], dict(updates=updates))
  return path


@dataclasses.dataclass(frozen=True)
class Case:
  """Flags, and what the line has to say."""

  flags: tuple
  says: str
  variables: dict = dataclasses.field(default_factory=dict)


def case(*args, **variables):
  *flags, says = args
  return Case(tuple(flags), says, variables)


# ------------------------------------------ values, keys, flags and configs ---
#
# Of `train`, answered in this process by the function that the program calls to
# parse its flags. A row is a line; tests of whole programs are below.


def value(config, key, text, right):
  """A value out of its range, and the range that the line has to name."""
  return Row(
    (f'--config={config}:debug', f'--config.{key}={text}'),
    (f'error: {key} is ', f'; it is {right}'),
  )


def each(config, key, text, right):
  """A tuple with a part out of its range."""
  return Row(
    (f'--config={config}:debug', f'--config.{key}={text}'),
    (f'error: {key} is ', f'; each part is {right}'),
  )


def flag(*arguments_and_says):
  """Flags, and what the line says."""
  *arguments, says = arguments_and_says
  return Row(tuple(arguments), (says,))


def lines(body, says):
  """A file of configs whose get_config, which starts from debug, does this."""
  text = (
    'from ml_collections import config_dict\n'
    'from worldmodels.configs import dreamer, planet\n\n'
    "def get_config(preset='debug'):\n"
    '  config = planet.get_config(preset)\n'
    f'  {body}\n'
    '  return config\n'
  )
  return file(text, says)


def file(text, says):
  """A file of configs."""
  return Row(('--config=mine.py',), ('error: ', says), text)


@dataclasses.dataclass(frozen=True)
class Row:
  """Flags of train, what the line has to say, and the text of mine.py."""

  flags: tuple
  says: tuple
  text: str = ''

  def __str__(self):
    shown = self.text.removesuffix('\n  return config\n').splitlines()[-1:]
    return ' '.join([*self.flags[-1:], *shown])


RATE = 'above 0, at most 1'
DECAY = '0 to below 1'
WEIGHT = '0 to 1000000'
ACTOR = 'learner.actor.distributions'
TABLE = [
  # Rates, clips, decays and weights.
  value('planet', 'optimizer.rate', '-1e-3', RATE),
  value('planet', 'optimizer.rate', '0', RATE),
  value('planet', 'optimizer.rate', 'nan', RATE),
  value('planet', 'optimizer.rate', 'inf', RATE),
  value('planet', 'optimizer.rate', '1e4', RATE),
  value('planet', 'optimizer.epsilon', '0', RATE),
  value('planet', 'optimizer.epsilon', '-1', RATE),
  value('planet', 'optimizer.clip', '-1', 'above 0, at most 1000000000'),
  value('planet', 'optimizer.clip', '0', 'above 0, at most 1000000000'),
  value('planet', 'optimizer.clip', 'nan', 'above 0, at most 1000000000'),
  value('planet', 'optimizer.clip', '1e38', 'above 0, at most 1000000000'),
  value('planet', 'optimizer.warmup', '-1', '0 to 1000000000'),
  value('planet', 'optimizer.average', '1', DECAY),
  value('planet', 'optimizer.average', '1.5', DECAY),
  value('planet', 'optimizer.average', '-0.1', DECAY),
  value('planet', 'kl.scale', '-1', WEIGHT),
  value('planet', 'kl.scale', 'nan', WEIGHT),
  value('planet', 'kl.free_nats', '-3', WEIGHT),
  value('planet', 'kl.prior_scale', '-0.5', WEIGHT),
  value('planet', 'kl.posterior_scale', 'inf', WEIGHT),
  value('planet', 'kl.free', 'foo', 'one of step, mean, side'),
  value('planet', 'overshooting.steps', '-1', '0 to 10000'),
  value('planet', 'overshooting.kl', '-1', WEIGHT),
  value('planet', 'overshooting.reward', 'nan', WEIGHT),
  value('planet', 'overshooting.image', '-2', WEIGHT),
  # A run.
  value('planet', 'seed', '-1', '0 to 4294967295'),
  value('planet', 'seed', '4294967296', '0 to 4294967295'),
  value('planet', 'preset', '', 'not empty'),
  value('planet', 'task', '', 'not empty'),
  value('planet', 'agent.kind', 'plante', 'one of dreamer, model_free, plan'),
  value('planet', 'agent.kind', 'critic', 'one of dreamer, model_free, plan'),
  value('planet', 'exploration', '-0.5', '0 to 1'),
  value('planet', 'exploration', '3', '0 to 1'),
  value('planet', 'train.episodes', '0', 'at least 1'),
  value('planet', 'train.episodes', '1', 'at least train.seed_episodes (2)'),
  value('planet', 'train.seed_episodes', '0', 'at least 1'),
  value('planet', 'train.updates', '-1', '1 to 1000000'),
  value('planet', 'train.first_updates', '-1', '0 to 1000000'),
  value('planet', 'train.batch', '0', '1 to 65536'),
  value('planet', 'train.batch', '100000', '1 to 65536'),
  value('planet', 'train.length', '1', '2 to 10000'),
  value('planet', 'train.length', '4', 'more than overshooting.steps + 1 (4)'),
  value('planet', 'train.length', '100000', '2 to 10000'),
  value('planet', 'train.checkpoints', '0', '1 to 1000'),
  value('planet', 'store.capacity', '-1', 'at least 0'),
  value('planet', 'store.memory_mb', '-1', 'at least 1'),
  value('planet', 'store.memory_mb', '0', 'at least 1'),
  value('planet', 'evaluate.every', '0', 'at least 1'),
  value('planet', 'evaluate.episodes', '0', '1 to 10000'),
  value('planet', 'evaluate.last_episodes', '-1', '1 to 10000'),
  value('planet', 'evaluate.context', '0', '1 to 10000'),
  value('planet', 'evaluate.horizon', '1000000', '1 to 10000'),
  value('planet', 'environment.action_repeat', '-2', '0 to 1000'),
  value('planet', 'environment.action_repeat', '1000000', '0 to 1000'),
  value('planet', 'environment.size', '0', '8 to 1024'),
  value('planet', 'environment.size', '-64', '8 to 1024'),
  value('planet', 'environment.quality', 'good', 'one of exact, near, fast'),
  each('planet', 'environment.vectors', '(1, 2)', 'a name, in quotes'),
  each('planet', 'environment.vectors', '', 'not empty'),
  # The model.
  value('planet', 'encoder.kind', 'conv', 'one of convolutional, spatial'),
  value('planet', 'encoder.bits', '9', '1 to 8'),
  value('planet', 'encoder.bits', '0', '1 to 8'),
  value('planet', 'encoder.bits', '-3', '1 to 8'),
  value('planet', 'encoder.kernel', '200', '1 to 64'),
  value('planet', 'encoder.kernel', '0', '1 to 64'),
  each('planet', 'encoder.channels', '(-8,16)', '1 to 4096'),
  each('planet', 'encoder.channels', '(0,)', '1 to 4096'),
  value('planet', 'encoder.points', '0', '1 to 4096'),
  value('planet', 'encoder.sharpness', '1e400', 'above 0, at most 1000'),
  value('planet', 'encoder.sharpness', '-1', 'above 0, at most 1000'),
  value('planet', 'encoder.whiten', '-1', '0 to 1000'),
  value('planet', 'encoder.precision', 'float12', 'one of float32, mixed_bf'),
  value('planet', 'dynamics.kind', 'ssm', 'one of ensemble, rssm, or module'),
  value('planet', 'dynamics.latent', 'gauss', 'one of gaussian, determin'),
  value('planet', 'dynamics.deter', '0', '1 to 65536'),
  value('planet', 'dynamics.stoch', '-5', '1 to 65536'),
  value('planet', 'dynamics.hidden', '0', '1 to 65536'),
  value('planet', 'dynamics.cell', 'lstm', 'one of gru, layer_norm_gru'),
  value('planet', 'dynamics.min_std', '-1', '0 to 100'),
  value('planet', 'dynamics.activation', 'rellu', 'one of celu, elu'),
  value('dreamer', 'learner.actor.initializer', 'he', 'one of glorot_normal'),
  value('planet', 'dynamics.classes', '1', '2 to 65536'),
  value('planet', 'dynamics.unimix', '2', DECAY),
  value('planet', 'heads.image.kind', 'draw', 'one of none, bernoulli'),
  flag(
    DEBUG, '--config.heads.image.kind=none', 'heads.image.kind is none; every'
  ),
  flag(
    DEBUG, '--config.heads.reward.kind=none', 'heads.reward.kind is none; ev'
  ),
  value('planet', 'heads.image.share', '0', RATE),
  value('planet', 'heads.image.share', '2', RATE),
  value('planet', 'heads.image.share', '-1', RATE),
  value('planet', 'heads.image.width', '0', 'above 0, at most 10'),
  value('planet', 'heads.image.side', '0', '1 to 512'),
  value('planet', 'heads.reward.kind', 'norm', 'one of bernoulli, convolut'),
  value('planet', 'heads.reward.scale', '-10', WEIGHT),
  value('planet', 'heads.reward.std', '0', 'above 0, at most 1000'),
  value('planet', 'heads.reward.std', '-1', 'above 0, at most 1000'),
  value('planet', 'heads.reward.layers', '-1', '0 to 64'),
  value('planet', 'heads.reward.bins', '1', '3 to 65535'),
  value('planet', 'heads.reward.limit', '100', 'above 0, at most 80'),
  value('planet', 'heads.reward.normalization', 'batch', 'one of none, layer'),
  value('planet', 'heads.discount.kind', 'Bernoulli', 'one of auto, none, b'),
  value('planet', 'heads.discount.units', '0', '1 to 65536'),
  flag(
    *('--config=planet:paper', '--config.heads.image.start=3'),
    'heads.image.start is 3; it is one of 1, 4',
  ),
  flag(
    *('--config=planet:paper', '--config.encoder.kernel=40'),
    'encoder.kernel is 40; convolution 2 of encoder.channels gets a map of 13',
  ),
  flag(
    *('--config=planet:paper', '--config.heads.image.channels=()'),
    'heads.image.channels is (); from a start of 1 it has 3 parts',
  ),
  flag(
    *('--config=planet:paper', '--config.environment.size=84'),
    'environment.size is 84; heads.image draws 64 x 64',
  ),
  flag(
    *(DEBUG, '--config.environment.size=84'),
    'heads.image draws 64 x 64, its side (16) doubled by each of its channels',
  ),
  flag(
    *('--config=dreamer:v3', '--config.heads.reward.bins=4'),
    'heads.reward.bins is 4; it is odd',
  ),
  # Acting.
  value('planet', 'planner.kind', 'cme', 'one of auto, categorical_cem, '),
  value('planet', 'planner.horizon', '0', '1 to 10000'),
  value('planet', 'planner.iterations', '0', '1 to 10000'),
  value('planet', 'planner.candidates', '0', '1 to 1000000'),
  value('planet', 'planner.elites', '0', '1 to 1000000'),
  value('planet', 'planner.elites', '13', '1 to planner.candidates (12)'),
  value('planet', 'planner.spread', '0', 'above 0, at most 100'),
  value('planet', 'planner.min_std', '-1', '0 to 100'),
  value('planet', 'planner.temperature', '0', 'above 0, at most'),
  value('planet', 'planner.decay', '0.5', '1 to 1000'),
  value('planet', 'planner.rate', '0', 'above 0, at most 10'),
  value('dreamer', 'planner.proposals', '-2', '-1 to 1000000'),
  value('dreamer', 'acting', 'both', 'one of policy, planner'),
  value('dreamer', 'exploring', 'actor', 'one of policy, planner, both'),
  value('dreamer', 'learner.kind', 'critic', 'one of actor_critic, or module'),
  value('dreamer', 'learner.horizon', '0', '1 to 10000'),
  value('dreamer', 'learner.gamma', '2', '0 to 1'),
  value('dreamer', 'learner.gamma', '-0.1', '0 to 1'),
  value('dreamer', 'learner.lambda_', '1.1', '0 to 1'),
  value('dreamer', 'learner.starts', '-1', 'at least 0'),
  value('dreamer', 'learner.gradient', 'path', 'one of pathwise, reinforce'),
  value('dreamer', 'learner.mix', '2', '0 to 1'),
  value('dreamer', 'learner.entropy', '-1', WEIGHT),
  value('dreamer', 'learner.normalize', 'nan', WEIGHT),
  value('dreamer', 'learner.normalize_decay', '1', DECAY),
  value('dreamer', 'learner.actor.kind', 'normal', 'one of auto, bounded_n'),
  value('dreamer', 'learner.actor.continuous', 'auto', 'one of bounded_norm'),
  value('dreamer', 'learner.actor.units', '0', '1 to 65536'),
  value('dreamer', 'learner.actor.optimizer.rate', '-1', RATE),
  value('dreamer', f'{ACTOR}.one_hot.unimix', '2', DECAY),
  value('dreamer', f'{ACTOR}.truncated_normal.min_std', '0', 'above 0'),
  value('dreamer', f'{ACTOR}.tanh_normal.mean_scale', '0', 'above 0'),
  value('dreamer', f'{ACTOR}.bounded_normal.min_std', '2', 'at most max_std'),
  value('dreamer', 'learner.critic.kind', 'norm', 'one of bernoulli, convol'),
  value('dreamer', 'learner.critic.slow', 'fast', 'one of none, target, reg'),
  value('dreamer', 'learner.critic.slow_every', '0', '1 to 1000000'),
  value('dreamer', 'learner.critic.slow_share', '0', RATE),
  value('model_free', 'agent.frames', '0', '1 to 64'),
  value('model_free', 'agent.shift', '-1', '0 to 64'),
  value('model_free', 'learner.steps', '0', '1 to 100'),
  value('model_free', 'learner.features', '0', '1 to 65536'),
  value('model_free', 'learner.target_entropy', 'nan', '-100 to 100'),
  value('model_free', 'learner.choice_entropy', '2', '0 to 1'),
  value('model_free', 'learner.temperature', '0', 'above 0, at most 1000000'),
  value('model_free', 'learner.temperature_rate', '0', RATE),
  value('model_free', 'train.length', '5', 'at least agent.frames (3) + learn'),
  value('dreamer', 'learner.critic.optimizer.clip', 'nan', 'above 0, at most'),
  # Types.
  flag(DEBUG, '--config.train.updates=1e2', 'updates=1e2: invalid literal'),
  flag(DEBUG, '--config.train.updates=100.0', 'updates=100.0: invalid lit'),
  flag(DEBUG, '--config.train.batch=True', 'train.batch=True: invalid lit'),
  flag(DEBUG, '--config.seed=None', 'config.seed=None: invalid literal'),
  flag(DEBUG, '--config.exploration=much', 'exploration=much: could not conv'),
  flag(DEBUG, '--config.train.overlap=no', 'overlap=no: it is true or false'),
  flag(DEBUG, '--config.planner.sample=maybe', 'maybe: it is true or false'),
  flag(DEBUG, '--config.encoder.channels=(8,16.5)', '16.5 is no int'),
  flag(DEBUG, '--config.encoder.channels=(8,many)', 'encoder.channels'),
  flag(DEBUG, '--config.train.batch', 'Missing value for flag --config.train'),
  # Keys.
  flag(DEBUG, '--config.dynamics.detr=8', "did you mean 'dynamics.deter'?"),
  flag(DEBUG, '--config.trian.batch=8', "did you mean 'train.batch'?"),
  flag(DEBUG, '--config.rssm.deter=8', "did you mean 'dynamics.deter'?"),
  flag(DEBUG, '--config.rssm.min_std=1', "did you mean 'dynamics.min_std'?"),
  flag(DEBUG, '--config.planner.name=cem', "did you mean 'planner.kind'?"),
  flag(DEBUG, '--config.planner.hor=8', "did you mean 'planner.horizon'?"),
  flag(DEBUG, '--config.opt.rate=1', "did you mean 'optimizer.rate'?"),
  flag(DEBUG, '--config.deter=8', "did you mean 'dynamics.deter'?"),
  flag(DEBUG, '--config.learning_speed=1', 'debug --help lists its keys'),
  flag(DEBUG, '--config.seed.x=8', "no key 'seed.x' in the config"),
  flag(DEBUG, '--config.dynamics=8', 'dynamics is a group of keys; set one'),
  flag(DEBUG, '--noconfig.overlap', "did you mean 'train.overlap'?"),
  # Flags.
  flag(DEBUG, '--confg.seed=1', "Unknown command line flag 'confg.seed'"),
  flag(DEBUG, '--logdri=run', "Unknown command line flag 'logdri'"),
  flag(DEBUG, '--flagfile=absent.flags', 'Unable to open flagfile'),
  flag('--config=planet:huge', "no preset 'huge' of planet; there are paper"),
  flag('--config=plant:cpu', 'configs of the package are dreamer, gymnas'),
  flag('--config=plant.py', "there is no file 'plant.py' in "),
  flag('--config=', "there is no file '' in "),
  flag('--config=planet:cpu', '--config=dreamer:hug', "no preset 'hug' of dr"),
  # Files of configs.
  file('def get_config() return 1', "expected ':' (mine.py, line 1)"),
  file('RATE = 1', "has no attribute 'get_config'"),
  file('import lab_of_nobody', "No module named 'lab_of_nobody'"),
  file('def get_config(preset): return 1', 'required positional argument'),
  file('def get_config(): return None', 'returns a NoneType, not a Config'),
  file('def get_config(): return {}', 'returns a dict, not a ConfigDict'),
  file('raise RuntimeError("no\\nway")', 'no; way (mine.py, line 1)'),
  file('import sys\nsys.exit(0)', 'mine.py: it ends the program'),
  lines('1 / 0', 'ZeroDivisionError: division by zero (mine.py, line 6)'),
  lines('assert config.seed', 'AssertionError (mine.py, line 6)'),
  lines('config.trian.batch = 8', 'trian'),
  lines('config.train.batch = 8.5', "field 'batch'"),
  lines('del config["train"]', "the config has no group 'train'; start from"),
  lines('del config["heads"]', "the config has no group 'heads'; start from"),
  lines('del config["planner"]', "the config has no group 'planner'; start"),
  lines('del config["task"]', "the config has no key 'task'; start from a"),
  lines('del config.train["batch"]', "the config has no key 'train.batch'"),
  lines('del config.kl["scale"]', "the config has no key 'kl.scale'; start"),
  lines('del config.heads["reward"]', "has no group 'heads.reward'; start"),
  lines('config = config_dict.ConfigDict()', "has no key 'preset'; start"),
  lines('config.agent.kind = "dreamer"', "has no group 'learner'; start"),
  lines('config.optimizer.decay = 0.1', 'optimizer.decay is no option; there'),
  lines('config.kl.balance = 0.8', 'kl.balance is no option; there are free,'),
  lines('config.train.bacth = 8', 'train.bacth is no option; there are batch'),
  lines('config.optimizer.rate = -1.0', 'optimizer.rate is -1.0; it is above'),
  lines(
    'config.planner = config_dict.create(kind="cem", horizon="far", sample=1)',
    "planner.horizon is 'far'; it is a whole number",
  ),
  lines(
    'config.heads.speed = config_dict.create(kind="norm", scale=1.0)',
    "heads.speed.kind is 'norm'; it is one of none, bernoulli",
  ),
  lines(
    'config.heads.speed = config_dict.create(kind="normal", scale=-1.0)',
    f'heads.speed.scale is -1.0; it is {WEIGHT}',
  ),
  lines(
    'config.agent.warmth = 5  # [0, 3] of mine\n  config.agent.warmth = 7',
    'agent.warmth is 7; it is 0 to 3',
  ),
]


@pytest.fixture
def parse(tmp_path, monkeypatch, capsys):
  """A function from flags of train to (status, stderr) of parsing them."""
  monkeypatch.chdir(tmp_path)
  config_flag.define('A config.')
  flags.DEFINE_string('logdir', None, 'A directory.', required=True)

  def parsed(*arguments):
    argv = ['worldmodels train', '--logdir=run', *arguments]
    monkeypatch.setattr(sys, 'argv', argv)
    with pytest.raises(SystemExit) as caught:
      launch._parse('planet:cpu', list, argv)
    return caught.value.code, capsys.readouterr().err

  yield parsed
  for name in [*flags.FLAGS]:
    if name.split('.')[0] in ('config', 'logdir'):
      delattr(flags.FLAGS, name)
  sys.modules.pop('config_config', None)  # A file is loaded into it.


@pytest.mark.parametrize('row', TABLE, ids=str)
def test_one_line_says_what_is_wrong(row, parse, tmp_path):
  if row.text:
    (tmp_path / 'mine.py').write_text(row.text)
  status, stderr = parse(*row.flags)
  assert status == 2 and stderr.startswith('error: ')
  assert stderr.count('\n') == 1 and 'Traceback' not in stderr
  for part in row.says:
    assert part in stderr, stderr
  assert not (tmp_path / 'run').exists()


def test_the_table_is_long_and_has_no_row_twice():
  assert len({*TABLE}) == len(TABLE) >= 110


# ----------------------------------------------- a new run, quickly refused ---

NEW = {
  'unknown task': case(
    '--config.task=cartpol_swingup',
    "unknown task 'cartpol_swingup': did you mean cartpole_swingup",
  ),
  # More of this kind is in config_flag_test.py.
  'misspelt key': case(
    '--config.dynamics.detr=8',
    "'dynamics.detr' in the config; did you mean 'dynamics.deter'?",
  ),
  'wrong type': case(
    '--config.dynamics.deter=many',
    '--config.dynamics.deter=many: invalid literal',
  ),
  'wrong boolean': case(
    '--config.train.overlap=perhaps', '--config.train.overlap=perhaps'
  ),
  'wrong part of a tuple': case(
    '--config.encoder.channels=(8,many)', 'encoder.channels'
  ),
  'no value': case('--config.dynamics.deter', 'Missing value'),
  'missing file of flags': case(
    '--flagfile=absent.flags', 'Unable to open flagfile'
  ),
  'misspelt flag': case('--confg.seed=1', "flag 'confg.seed'"),
  'stray argument': case('hill', "unexpected argument 'hill'"),
  'missing preset': case('--config=planet:huge', "no preset 'huge'"),
  'missing config file': case(
    '--config=configs/plant.py', "no file 'configs/plant.py'"
  ),
  'empty directory': case('--logdir=', "--logdir is ''; it needs"),
  'missing config': case('--config=plant:cpu', 'of the package are'),
  'config file of something else': case(
    '--config=tests/frail_task.py', 'get_config'
  ),
  'seed': case('--config.seed=-1', 'seed is -1; it is 0 to'),
  'contradiction': case(
    '--config.planner.elites=99', 'planner.elites is 99; it is 1 to'
  ),
  'quality': case('--config.environment.quality=good', 'near, fast'),
  'vector': case(
    HILL, '--config.environment.vectors=weight', 'only: position, velocity'
  ),
  'head without its vector': case(
    '--config=tests/odd_configs.py:velocity',
    'heads.velocity predicts a vector that is not observed: set '
    "environment.vectors=('velocity',)",
  ),
  'planner for other actions': case(
    *('--config.task=juggle', '--config.planner.kind=cem'),
    "planner.kind is 'cem', but the actions of the task are discrete: set "
    'planner.kind=auto',
  ),
  'actor for other actions': case(
    *('--config=dreamer:debug', HILL, '--config.learner.actor.kind=one_hot'),
    'are continuous: set learner.actor.kind=auto',
  ),
  'vector with the name of a column': case(
    f'--config.task={STRANGE.format("Named")}',
    "--config.environment.vectors=('action',)",
    "its vector 'action' has a name that episodes keep",
  ),
  'action without room': case(
    f'--config.task={STRANGE.format("half_bounded")}',
    'its action has the bounds [1e+30] and [inf]: expected them nearer',
  ),
  'image of the wrong type': case(
    f'--config.task={STRANGE.format("float_image")}',
    'its image is float32 [64, 64, 3], expected uint8 [64, 64, 3]',
  ),
  'action of whole numbers': case(
    f'--config.task={STRANGE.format("integers")}', 'expected one array of'
  ),
  'missing module': case(
    '--config.task=my_lab.reacher:load', "no module 'my_lab'"
  ),
  'missing function': case(
    f'--config.task={STRANGE.format("lod")}', "has no function 'lod'"
  ),
  'missing colon': case(
    '--config.task=tests.strange_tasks', "unknown task 'tests.strange_tasks'"
  ),
  'unknown OpenGL': case(CARTPOLE, 'MUJOCO_GL=vulkan is', MUJOCO_GL='vulkan'),
  'no OpenGL': case(CARTPOLE, 'apt-get install', **NO_EGL),
}


@pytest.mark.parametrize('name', NEW)
def test_a_new_run_is_refused(name, tmp_path, no_tensorflow):
  logdir = tmp_path / 'run'
  flags = NEW[name].flags
  config = (
    [] if any(flag.startswith('--config=') for flag in flags) else [DEBUG]
  )
  done = run(
    'train',
    f'--logdir={logdir}',
    *config,
    *flags,
    path=[no_tensorflow],
    **NEW[name].variables,
  )
  assert NEW[name].says in told(done)
  # What is mended need not be put anywhere else.
  assert not logdir.exists()


@pytest.mark.parametrize('program', ['train', 'evaluate', 'video'])
def test_no_logdir(program, no_tensorflow):
  assert '--logdir is missing' in told(run(program, path=[no_tensorflow]))


def test_another_mujoco(tmp_path, no_tensorflow, mujoco_4):
  path = [no_tensorflow, mujoco_4]
  existing = begun(tmp_path / 'existing')
  for done in (
    run('train', f'--logdir={tmp_path / "new"}', path=path),
    run('evaluate', f'--logdir={existing}', path=path),
  ):
    assert 'mujoco 4.0.0 is installed; dm_control' in told(done)
    assert 'pip install mujoco==3.' in told(done)


# ------------------------------------------------------ a directory of ours ---

OTHERS = {
  'task': case(HILL, 'task: cartpole_balance here, hill asked'),
  'config': case(
    '--config.dynamics.deter=25', 'dynamics.deter: 24 here, 25 asked'
  ),
  'quality': case(
    '--config.environment.quality=near',
    'environment.quality: fast here, near asked',
  ),
  'preset': case('--config=planet:cpu', 'a run of another config'),
}


@pytest.mark.parametrize('name', OTHERS)
def test_a_run_of_something_else_is_not_continued(
  name, tmp_path, no_tensorflow
):
  logdir = begun(tmp_path / 'run')
  before = contents(logdir)
  done = run(
    'train',
    DEBUG,
    *OTHERS[name].flags,
    f'--logdir={logdir}',
    path=[no_tensorflow],
  )
  assert OTHERS[name].says in told(done)
  assert contents(logdir) == before


def test_two_programs_do_not_train_in_one_directory(tmp_path, no_tensorflow):
  logdir = begun(tmp_path / 'run', task='hill')
  config = RunDirectory(logdir).load()
  mine = RunDirectory(logdir)
  mine.claim(config)
  done = run('train', DEBUG, HILL, f'--logdir={logdir}', path=[no_tensorflow])
  assert 'another program is training' in told(done)


@pytest.mark.parametrize('program', ['train', 'evaluate', 'video'])
def test_a_directory_of_something_else(program, tmp_path, no_tensorflow):
  (tmp_path / 'thesis').mkdir()
  (tmp_path / 'thesis' / 'text').write_text('words')
  before = contents(tmp_path / 'thesis')
  flags = [DEBUG, HILL] if program == 'train' else []
  done = run(
    program, *flags, f'--logdir={tmp_path / "thesis"}', path=[no_tensorflow]
  )
  assert 'not a run' in told(done)
  assert contents(tmp_path / 'thesis') == before


def test_a_directory_that_cannot_be_written(tmp_path, no_tensorflow):
  """As root one may write anywhere, but not below a file."""
  file = tmp_path / 'file'
  file.write_text('words')
  for logdir in (file, file / 'below', '/proc/none/run'):
    done = run('train', DEBUG, HILL, f'--logdir={logdir}', path=[no_tensorflow])
    assert str(logdir).split('/below')[0].split('/run')[0] in told(done)
  assert file.read_text() == 'words'


def test_a_disk_that_is_full_from_the_start(tmp_path, no_tensorflow):
  logdir = tmp_path / 'run'
  done = run(
    *('train', DEBUG, HILL, f'--logdir={logdir}'),
    limit=1000,  # Enough for what it says.
    path=[no_tensorflow],
  )
  assert f'{logdir / "config.json"}: File too large; what was' in told(done)
  assert not list(logdir.iterdir())


# ------------------------------------------------------- evaluate and video ---

BOTH = ['evaluate', 'video']
EXISTING = {
  'stray argument': case('10', "unexpected argument '10'"),
  'misspelt flag': case('--checkpoin=3', 'did you mean checkpoint'),
  'wrong type': case('--episodes=ten', '--episodes=ten: invalid literal'),
  'none': case('--episodes=0', '--episodes=0'),
  'missing file of flags': case(
    '--flagfile=absent.flags', 'Unable to open flagfile'
  ),
  'absent checkpoint': case(
    '--checkpoint=7', 'no checkpoint of 7 updates; there: 5, 10'
  ),
}


@pytest.mark.parametrize('program', BOTH)
@pytest.mark.parametrize('name', EXISTING)
def test_wrong_flags(program, name, tmp_path, no_tensorflow):
  logdir = begun(tmp_path / 'run')
  before = contents(tmp_path)
  done = run(
    program, f'--logdir={logdir}', *EXISTING[name].flags, path=[no_tensorflow]
  )
  assert EXISTING[name].says in told(done) and not done.stdout
  assert contents(tmp_path) == before


@pytest.mark.parametrize('program', BOTH)
def test_no_run_and_an_empty_one(program, tmp_path, no_tensorflow):
  logdir = tmp_path / 'run'
  flag = f'--logdir={logdir}'
  assert 'not a run' in told(run(program, flag, path=[no_tensorflow]))
  begun(logdir, checkpoints=())
  assert 'no checkpoint yet' in told(run(program, flag, path=[no_tensorflow]))
  (logdir / 'config.json').unlink()
  assert 'not a run' in told(run(program, flag, path=[no_tensorflow]))


@pytest.mark.parametrize('program', ['train', *BOTH])
def test_a_run_of_an_earlier_version(program, tmp_path, no_tensorflow):
  logdir = begun(tmp_path / 'run', task='hill')
  config = json.loads((logdir / 'config.json').read_text())
  config['rssm'] = config.pop('dynamics')
  (logdir / 'config.json').write_text(json.dumps(config))
  before = contents(logdir)
  flags = [DEBUG, HILL] if program == 'train' else []
  done = run(program, f'--logdir={logdir}', *flags, path=[no_tensorflow])
  assert f'{logdir} is a run of an earlier version' in told(done)
  assert contents(logdir) == before


@pytest.mark.parametrize('program', BOTH)
@pytest.mark.parametrize(
  'content, says',
  [
    (None, 'holds no spec.json: not a run'),
    ('{"actions": ', 'spec.json is damaged: '),
    ('{"actions": 0}', 'spec.json is damaged: '),
  ],
)
def test_what_the_task_shows_is_not_known(
  program, content, says, tmp_path, no_tensorflow
):
  logdir = begun(tmp_path / 'run', task='hill')
  (logdir / 'spec.json').unlink()
  if content is not None:
    (logdir / 'spec.json').write_text(content)
  done = run(program, f'--logdir={logdir}', path=[no_tensorflow])
  assert says in told(done) and not done.stdout


def test_evaluate_finds_a_task_that_has_changed(tmp_path, no_tensorflow):
  """The run is of two actions, the task of one."""
  logdir = begun(tmp_path / 'run', task='hill')
  spec = Spec(actions=2).to_dict()
  (logdir / 'spec.json').write_text(json.dumps(spec))
  done = run('evaluate', f'--logdir={logdir}', path=[no_tensorflow])
  assert 'a task with other actions: 2 here, 1 now' in told(done)


EVALUATE = {
  'image of the wrong type': ('float_image', {}, 'its image is float32'),
  'missing function': ('gone', {}, "has no function 'gone'"),
  'missing module': ('my_lab.reacher:load', {}, "no module 'my_lab'"),
  'unknown task': ('hil', {}, 'did you mean hill?'),
  'no OpenGL': ('cartpole_balance', NO_EGL, 'apt-get install'),
}


@pytest.mark.parametrize('name', EVALUATE)
def test_evaluate_needs_the_environment(name, tmp_path, no_tensorflow):
  task, variables, says = EVALUATE[name]
  if name in ('image of the wrong type', 'missing function'):
    task = STRANGE.format(task)
  logdir = begun(tmp_path / 'run', task=task)
  done = run(
    'evaluate', f'--logdir={logdir}', path=[no_tensorflow], **variables
  )
  assert says in told(done) and not done.stdout


@pytest.mark.parametrize(
  'out, says',
  [
    ('dream.avi', '.webm, .mp4, .webp, .gif'),
    ('none/dream.webm', 'there is no none'),
    ('LICENSE/dream.webm', 'there is no LICENSE'),
    ('', "--out is ''; it "),
    ('folder.gif', 'folder.gif: that is a directory; it is a file to write'),
    ('fifo.gif', 'fifo.gif: that is no regular file; it is a file to write'),
    ('/proc/dream.gif', '--out=/proc/dream.gif: '),
    (f'{"a" * 300}.gif', '.gif: File name too long'),
    ('~nobody_of_this_name/dream.gif', 'there is no such user'),
  ],
)
def test_a_film_that_cannot_be_written(out, says, tmp_path, no_tensorflow):
  logdir = begun(tmp_path / 'run')
  if out.startswith('f'):
    out = tmp_path / out
    out.mkdir() if out.stem == 'folder' else os.mkfifo(out)
  before = contents(tmp_path)
  done = run(
    'video', f'--logdir={logdir}', f'--out={out}', path=[no_tensorflow]
  )
  assert says in told(done) and not done.stdout
  assert contents(tmp_path) == before and not list(ROOT.glob('*.tmp'))


VIDEO = {
  'not a number': case('--fps=nan', '--fps=nan: it is a number from 0.1'),
  'endless': case('--fps=inf', '--fps=inf'),
  'too slow': case('--fps=0', '--fps=0'),
  'no context': case('--context=0', '--context=0'),
  'no horizon': case('--horizon=0', '--horizon=0'),
  'no scale': case('--scale=0', '--scale=0'),
  'too many': case('--episodes=17', '--episodes=17'),
  'checkpoint': case('--checkpoint=-1', '--checkpoint=-1'),
}
EVALUATION = {
  'too many': case('--parallel=1000', '--parallel=1000'),
  'too long': case('--episodes=1000000000', '--episodes=1000000000'),
  'seed': case('--seed=-1', '--seed=-1'),
  'seed beyond': case('--seed=4294967296', '--seed=4294967296'),
  'checkpoint': case('--checkpoint=-1', '--checkpoint=-1'),
}


@pytest.mark.parametrize(
  'program,flags,says',
  [
    (program, found.flags, found.says)
    for program, cases in (('video', VIDEO), ('evaluate', EVALUATION))
    for found in cases.values()
  ],
)
def test_values_that_a_flag_cannot_have(
  program, flags, says, tmp_path, no_tensorflow
):
  logdir = begun(tmp_path / 'run')
  done = run(program, f'--logdir={logdir}', *flags, path=[no_tensorflow])
  assert says in told(done) and not done.stdout


@pytest.mark.parametrize('program', ['train', *BOTH])
@pytest.mark.parametrize('logdir', ['', ' ', '~nobody_of_this_name/run'])
def test_a_logdir_that_is_none(program, logdir, no_tensorflow):
  flags = [DEBUG, HILL] if program == 'train' else []
  before = os.listdir(ROOT)
  done = run(program, f'--logdir={logdir}', *flags, path=[no_tensorflow])
  assert f'--logdir is {logdir!r}; ' in told(done)
  assert os.listdir(ROOT) == before


@pytest.mark.parametrize('program', BOTH)
def test_paths_from_home(program, tmp_path, no_tensorflow):
  """A shell leaves the ~ of --flag=~/x to the program."""
  flags = ['--out=~/films/dream.gif'] if program == 'video' else []
  (tmp_path / 'films').mkdir()
  done = run(
    program,
    '--logdir=~/runs/none',
    *flags,
    path=[no_tensorflow],
    HOME=str(tmp_path),
  )
  assert f'{tmp_path}/runs/none holds no config.json' in told(done)


def test_a_run_and_a_config_from_home(tmp_path, no_tensorflow):
  (tmp_path / 'mine.py').write_text(
    'from worldmodels.configs import planet\nget_config = planet.get_config\n'
  )
  logdir = begun(tmp_path / 'run')
  done = run(
    'train',
    '--config=~/mine.py:debug',
    '--config.task=nohill',
    '--logdir=~/run',
    path=[no_tensorflow],
    HOME=str(tmp_path),
  )
  assert f'{logdir} is a run of another config (task: cart' in told(done)


@pytest.mark.parametrize('program', ['train', *BOTH])
def test_a_run_with_files_that_lie(program, tmp_path, no_tensorflow):
  """One is enough; run_directory_test and checkpoint_files_test have more."""
  flags = [DEBUG, HILL] if program == 'train' else []
  for number, (name, content, says) in enumerate(
    [
      ('config.json', os.mkfifo, 'is a FIFO, not a regular file'),
      ('config.json', b'{"agent": 1}', "it has no key 'task'"),
      ('checkpoints/00000010/counters.json', b'{}', 'has no key updates'),
      ('checkpoints/00000010/variables.npz', os.mkfifo, 'is a FIFO'),
    ]
  ):
    logdir = begun(tmp_path / str(number), checkpoints=[10], task='hill')
    (logdir / name).unlink()
    if callable(content):
      content(logdir / name)
    else:
      (logdir / name).write_bytes(content)
    done = run(program, f'--logdir={logdir}', *flags, path=[no_tensorflow])
    assert says in told(done)


@pytest.mark.parametrize('program', ['train', *BOTH])
def test_the_only_checkpoint_is_damaged(program, tmp_path, no_tensorflow):
  """Nothing is begun anew, and what is left is left as it is."""
  logdir = begun(tmp_path / 'run', checkpoints=[10], task='hill')
  file = logdir / 'checkpoints' / '00000010' / 'variables.npz'
  file.write_bytes(file.read_bytes()[:-1])
  before = contents(logdir)
  flags = [DEBUG, HILL] if program == 'train' else []
  done = run(program, f'--logdir={logdir}', *flags, path=[no_tensorflow])
  assert 'can be restored: all 1 are damaged (' in told(done)
  assert contents(logdir) == before


# ---------------------------------------------------------- with TensorFlow ---


def test_a_loss_that_is_not_a_number(tmp_path):
  """20 updates without effect end the run; what there was stays."""
  done = run(
    'train',
    DEBUG,
    HILL,
    '--noconfig.train.overlap',
    '--config.train.updates=30',
    '--config.overshooting.steps=0',
    '--config.heads.image.share=1',
    f'--logdir={tmp_path}',
    '--poison_from=3',
  )
  assert '20 updates in a row were not finite (last update 23)' in told(done)
  assert f'checkpoint is {tmp_path}/checkpoints/00000000' in told(done)
  (path,) = tmp_path.glob('checkpoints/*/variables.npz')
  with np.load(path) as file:
    assert all(np.isfinite(file[key]).all() for key in file.files)
  assert len(list(tmp_path.glob('episodes/*.npz'))) == 2


@pytest.fixture(scope='module')
def ended_early(tmp_path_factory):
  """A run in ~/runs/one of a task with NaN as its first reward, and ~."""
  home = tmp_path_factory.mktemp('home')
  task = f'--config.task={STRANGE.format("nan_reward")}'
  done = run('train', DEBUG, task, '--logdir=~/runs/one', HOME=str(home))
  return done, home


def test_a_reward_that_is_not_a_number(ended_early):
  done, home = ended_early
  task = STRANGE.format('nan_reward')
  assert f'task {task!r}: its reward is nan: expected a finite' in told(done)
  assert (home / 'runs' / 'one' / 'episodes').is_dir()
  assert not list(home.rglob('*.npz'))


def test_a_run_is_written_to_home(ended_early):
  """A shell leaves the ~ of --logdir=~/x to the program."""
  done, home = ended_early
  logdir = home / 'runs' / 'one'
  assert ' '.join(done.stdout.split()).startswith(f'run {logdir}, new ')
  assert RunDirectory(logdir).load().task == STRANGE.format('nan_reward')
  assert not list(ROOT.glob('~*'))


def test_a_disk_that_fills_up(tmp_path):
  """Episodes have 600 KB: with them it is full, and then there is room."""
  flags = [DEBUG, HILL, f'--logdir={tmp_path}']
  done = run('train', *flags, limit=100_000)
  assert 'File too large; what was written before is whole' in told(done)
  assert f'error: {tmp_path}/episodes/000000-' in told(done)
  assert [path.name for path in (tmp_path / 'episodes').iterdir()] == [
    'metadata.json'
  ]
