"""`worldmodels convert` as a user starts it."""

import os
import pathlib

import numpy as np

SAMPLES = pathlib.Path(__file__).parent / 'samples'


def test_to_and_fro(wheel_program, tmp_path):
  for data, kind in (
    (SAMPLES / 'minari', 'vd4rl'),
    (tmp_path / 'vd4rl', 'minari'),
    (tmp_path / 'minari', 'npz'),
  ):
    out = tmp_path / kind
    done = wheel_program(
      *('convert', f'--data={data}', f'--to={kind}', f'--out={out}'), '--size=8'
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert f'{kind}, 2 episodes' in done.stdout
  first, _ = sorted((tmp_path / 'npz').iterdir())
  with np.load(first) as episode:
    np.testing.assert_allclose(episode['reward'], [0, 1, 2, 3, 4, 5])
    np.testing.assert_allclose(episode['action'][:, 0], np.arange(6) / 10)
    assert episode['image'].shape == (6, 8, 8, 3)


def test_wrong_flags_are_one_line(wheel_program, tmp_path):
  data = f'--data={SAMPLES / "minari"}'
  (tmp_path / 'full').mkdir()
  (tmp_path / 'full' / 'file').touch()
  out = f'--out={tmp_path / "out"}'
  for flags, text in (
    ((data, '--to=tarot', out), '--to is '),
    ((data, '--to=npz', f'--out={tmp_path / "full"}'), 'full is not empty'),
    ((data, '--to=npz', out, '--action_bounds=2,1'), 'LOW,HIGH'),
    (('--data=absent', '--to=npz', out), 'absent: there is no such'),
    ((data, '--to=npz', out, '--from=npz'), 'holds no episodes'),
  ):
    done = wheel_program('convert', *flags)
    assert done.returncode == 1, flags
    assert done.stderr.count('\n') == 1 and text in done.stderr, done.stderr
  assert os.listdir(tmp_path) == ['full']
