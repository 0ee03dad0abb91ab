"""Files of settings: what they say, and what is wrong with them."""

import json
import os
import pathlib
import sys

import pytest
from absl import flags

from worldmodels.agents.programs import config_flag
from worldmodels.agents.runs import config_checks
from worldmodels.agents.sweeps import settings

ROOT = pathlib.Path(__file__).parent.parent
TOML = """
# The trial.
[preset]

[light]
kl.posterior_scale = 0.1
"train.batch" = 4
encoder.channels = [8, 16]

[other]
config = "dreamer:debug"
acting = "planner"
"""
JSON = """{
  "preset": {},
  "light": {"kl": {"posterior_scale": 0.1}, "train.batch": 4,
            "encoder.channels": [8, 16]},
  "other": {"config": "dreamer:debug", "acting": "planner"}
}"""


@pytest.mark.parametrize('ending,text', [('.toml', TOML), ('.json', JSON)])
def test_both_formats_say_the_same(ending, text, tmp_path):
  path = tmp_path / f'trial{ending}'
  path.write_text(text)
  found = settings.read(path)
  assert list(found) == ['preset', 'light', 'other']
  assert found['preset'] == {}
  assert found['light'] == {
    'kl.posterior_scale': 0.1,
    'train.batch': 4,
    'encoder.channels': (8, 16),
  }
  assert found['other'] == {'config': 'dreamer:debug', 'acting': 'planner'}


WRONG = {
  'no such file': ('gone.toml', None, 'there is no such file'),
  'another ending': ('a.py', 'x = 1', 'ends in .toml or .json'),
  'no ending': ('settings', '', "'nothing'; it is a file"),
  'empty': ('a.toml', '# nothing\n', 'is empty; it names settings'),
  'empty object': ('a.json', '{}', 'is empty'),
  'no object': ('a.json', '[1]', 'holds no settings'),
  'a value': ('a.toml', 'kl = 3', 'kl is a int; it is keys of the config'),
  'cut off': ('a.toml', '[a', 'a.toml: '),
  'cut off JSON': ('a.json', '{"a"', 'a.json: '),
  'name twice': ('a.toml', '[a]\n[a]\n', "'a'"),
  'name twice JSON': ('a.json', '{"a": {}, "a": {}}', "'a' is there twice"),
  'key twice': (
    'a.json',
    '{"a": {"kl.scale": 1, "kl": {"scale": 2}}}',
    'a: kl.scale is there twice',
  ),
  'task': ('a.toml', '[a]\ntask = "hill"', 'a: task belongs to --tasks'),
  'seed': ('a.toml', '[a]\nseed = 3', 'a: seed belongs to --seeds'),
  'updates': (
    'a.toml',
    '[a]\ntrain.updates_total = 3',
    'train.updates_total belongs to --updates',
  ),
  'a path as name': ('a.json', '{"../../etc": {}}', "called '../../etc'"),
  'a file of ours': ('a.toml', '[episodes]', "'episodes', as something else"),
  'a file of runs': ('a.json', '{"config.json": {}}', 'as something else'),
  'a name with a point': ('a.toml', '[a_0.1]\nx = 1', 'as in ["a_0.1"]'),
  'a date': ('a.toml', '[a]\nkl.scale = 2020-01-01', 'kl.scale is a date'),
  'nothing': ('a.json', '{"a": {"kl.scale": null}}', 'is a NoneType'),
  'objects in a list': (
    'a.json',
    '{"a": {"encoder.channels": [{}]}}',
    'is a dict; it is a number',
  ),
  'no text': ('a.toml', b'\xff\xfe', 'a.toml: '),
  'deep': ('a.json', '{"a": ' * 900 + '1' + '}' * 900, 'deeper than 20'),
  'deeper': ('a.json', '[' * 100_000, 'a.json: '),
  'deep in TOML': ('a.toml', '[a]\nx = ' + '[' * 4000, 'a.toml: '),
  'points': ('a.toml', f'[a]\n{".".join("x" * 3000)} = 1', 'longer than 4096'),
  'huge number': ('a.toml', f'[a]\nx = 0x{"f" * 4000}', 'beyond all'),
  'digits': ('a.json', f'{{"a": {{"x": {"9" * 5000}}}}}', 'a.json: '),
  'huge': ('a.toml', b'#' * (1 << 20) + b'#', 'is larger than 1 MB'),
  'many': ('a.json', None, 'has 1001 settings; at most 1000'),
  'a FIFO': ('a.toml', os.mkfifo, 'is a FIFO, not a regular file'),
  'a folder': ('a.toml', os.mkdir, 'is a directory'),
}


@pytest.mark.parametrize('name', WRONG)
def test_what_is_wrong_is_one_line(name, tmp_path):
  file, content, says = WRONG[name]
  path = tmp_path / file
  if name == 'many':
    content = json.dumps({f'a{i}': {} for i in range(1001)})
  if callable(content):
    content(path)
  elif isinstance(content, bytes):
    path.write_bytes(content)
  elif content is not None:
    path.write_text(content)
  with pytest.raises(settings.SettingsError) as caught:
    settings.read(path)
  message = str(caught.value)
  assert says in message and '--settings=' in message
  assert '\n' not in message and len(message) < 400


# --------------------------------------------------- keys of the config ---


@pytest.fixture
def config():
  """The flag --config, as a program defines it."""
  if 'config' in flags.FLAGS:
    delattr(flags.FLAGS, 'config')
  config_flag.define('A config.')
  yield
  for name in [x for x in flags.FLAGS if x.split('.')[0] == 'config']:
    delattr(flags.FLAGS, name)
  # As which ml_collections imports a file of configs.
  sys.modules.pop('config_config', None)


def test_a_config_with_other_values(config):
  made = config_flag.changed(
    'planet:debug',
    {
      'kl.posterior_scale': 1,
      'encoder.channels': (4, 4, 4, 4),
      'train.overlap': False,
      'planner.kind': 'mppi',
    },
  )
  plain = config_checks.flatten(config_flag.load('planet:debug').to_dict())
  found = config_checks.flatten(made.to_dict())
  assert {key for key in found if found[key] != plain[key]} <= {
    *('kl.posterior_scale', 'encoder.channels', 'train.overlap'),
    'planner.kind',
  }
  assert type(found['kl.posterior_scale']) is float
  assert found['encoder.channels'] == (4, 4, 4, 4)


@pytest.mark.parametrize(
  'values,says',
  [
    ({'kl.postrior_scale': 1.0}, "did you mean 'kl.posterior_scale'?"),
    ({'kl': 1.0}, 'kl is a group of keys'),
    ({'train.batch': 'many'}, "train.batch is 'many'; it is a value such as 3"),
    ({'train.batch': 0}, 'train.batch is 0; it is'),
    ({'train.batch': True}, 'train.batch is True; it is a whole number'),
    ({'train.overlap': 1}, 'train.overlap'),
    ({'encoder.channels': 3}, 'encoder.channels is 3'),
    ({'encoder.channels': ('a',)}, "'a' is no int"),
    ({'planner.kind': 'cme'}, 'planner.kind'),
    ({'optimizer.rate': float('nan')}, 'optimizer.rate is nan'),
  ],
)
def test_a_wrong_key_or_value_is_one_line(values, says, config):
  with pytest.raises((config_flag.FlagError, config_checks.ConfigError)) as e:
    config_flag.changed('planet:debug', values)
  assert says in str(e.value) and '\n' not in str(e.value)


def test_the_keys_that_flags_have_set_are_those_of_all_settings(
  config, monkeypatch
):
  given = ['--config.train.batch=4', '--config.encoder.channels=(4,)']
  monkeypatch.setattr(sys, 'argv', ['sweep', *given])  # Where they are found.
  config_flag.parse('planet:debug', sys.argv)
  assert config_flag.chosen() == {
    'train.batch': 4,
    'encoder.channels': (4,),
  }


def test_the_files_of_the_package_are_sound(config):
  """Each can be run as its comment says."""
  paths = sorted((ROOT / 'docs' / 'sweeps').glob('*.toml'))
  assert len(paths) >= 5
  for path in paths:
    text = path.read_text()
    assert 'worldmodels sweep' in text and path.name in text, path
    base = 'planet:cpu' if 'planet:cpu' in text else 'dreamer:cpu'
    found = settings.read(path)
    assert len(found) > 1
    for values in found.values():
      own = dict(values)
      named = own.pop('config', base)
      if named != base:  # From the root of the checkout.
        assert (ROOT / named.partition(':')[0]).is_file()
        named = str(ROOT / named)
      config_flag.changed(named, own)
