import os
import pathlib
import subprocess
import sys

import pytest

from worldmodels.data import graphics
from worldmodels.data import workers

OWN = 'dm_control.suite.cartpole:balance'  # as a function of a user's
ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def no_backend_chosen(monkeypatch):
  monkeypatch.delenv('MUJOCO_GL', raising=False)


def working(monkeypatch, *names):
  monkeypatch.setattr(graphics, 'works', lambda name: name in names)


def run(**variables):
  """The program in a bare Python: no site-packages, no first-party path."""
  return subprocess.run(
    [sys.executable, '-E', '-S', '-m', 'worldmodels.data.graphics'],
    cwd=ROOT,
    env={**os.environ, **variables},
    capture_output=True,
    text=True,
    check=False,
  )


def test_the_program_needs_only_the_standard_library():
  done = run()
  assert 'Traceback' not in done.stderr
  if done.returncode:
    assert done.stderr.count('\n') == 1 and 'apt-get install' in done.stderr
  else:
    assert done.stdout.startswith('graphics: rendering with ')


def test_the_program_fails_with_one_line():
  done = run(MUJOCO_GL='vulkan')
  assert done.returncode == 1 and not done.stdout
  assert done.stderr.startswith('graphics: MUJOCO_GL=vulkan is none of egl')
  assert done.stderr.count('\n') == 1


def test_egl_comes_before_osmesa(monkeypatch, capsys):
  working(monkeypatch, 'egl', 'osmesa')
  assert graphics.backend() == 'egl'
  working(monkeypatch, 'osmesa')
  assert graphics.backend() == 'osmesa'
  assert graphics.main() == 0
  assert 'EGL does not work' in capsys.readouterr().out


def test_without_any_the_packages_are_named(monkeypatch):
  working(monkeypatch)
  with pytest.raises(graphics.GraphicsError) as caught:
    graphics.backend()
  assert 'libegl1 libgl1' in str(caught.value)
  assert 'libosmesa6' in str(caught.value)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'chosen, working_ones, message',
  [
    ('osmesa', ['egl'], 'osmesa does not work here: apt-get.*libosmesa6'),
    ('egl', ['osmesa'], 'egl does not work here: apt-get.*libegl1 libgl1'),
    ('glfw', ['egl'], 'needs a display'),
    ('nonsense', ['egl'], 'none of egl, osmesa, glfw'),
  ],
)
def test_a_bad_choice_is_told(monkeypatch, chosen, working_ones, message):
  working(monkeypatch, *working_ones)
  monkeypatch.delenv('DISPLAY', raising=False)
  monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
  monkeypatch.setenv('MUJOCO_GL', chosen)
  with pytest.raises(graphics.GraphicsError, match=message):
    graphics.backend()


def test_a_good_choice_is_kept(monkeypatch):
  working(monkeypatch, 'egl', 'osmesa')
  monkeypatch.setenv('MUJOCO_GL', 'OSMesa')
  assert graphics.backend() == 'osmesa'
  monkeypatch.setenv('MUJOCO_GL', 'glfw')
  monkeypatch.setenv('DISPLAY', ':0')
  assert graphics.backend() == 'glfw'


@pytest.mark.parametrize(
  'probe, expected',
  [
    ('pass', True),
    ('import os; os.abort()', False),
    ('raise OSError', False),
    ('import time; time.sleep(60)', False),
  ],
)
def test_a_driver_that_crashes_or_hangs_does_not_work(
  monkeypatch, probe, expected
):
  monkeypatch.setitem(graphics.PROBES, 'a driver', probe)
  monkeypatch.setattr(graphics, 'PROBE_SECONDS', 2)
  graphics.works.cache_clear()
  assert graphics.works('a driver') == expected
  graphics.works.cache_clear()


@pytest.mark.parametrize('task', ['cartpole_balance', OWN])
@pytest.mark.parametrize(
  'backend, says',
  [
    ('glfw', 'MUJOCO_GL=glfw needs a display and there is none'),
    ('off', 'MUJOCO_GL=off is none of egl, osmesa, glfw'),
  ],
)
def test_a_backend_that_cannot_render_is_named(
  monkeypatch, task, backend, says
):
  """MuJoCo would speak of a platform library, or of what it may be set to."""
  monkeypatch.delenv('DISPLAY', raising=False)
  monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
  monkeypatch.setenv('MUJOCO_GL', backend)
  with pytest.raises(graphics.GraphicsError, match=says) as caught:
    workers.start(task)
  assert '\n' not in str(caught.value) and 'MUJOCO_GL=egl' in str(caught.value)


def test_a_display_that_cannot_be_used_is_named(monkeypatch):
  monkeypatch.setenv('MUJOCO_GL', 'glfw')
  monkeypatch.setenv('DISPLAY', ':987')
  with workers.start('cartpole_balance') as worker:
    with pytest.raises(graphics.GraphicsError, match='DISPLAY=:987') as caught:
      worker.reset()
  assert '\n' not in str(caught.value) and 'MUJOCO_GL=egl' in str(caught.value)


def test_errors_of_others_are_left_as_they_are(monkeypatch):
  monkeypatch.setenv('MUJOCO_GL', 'nonsense')
  error = ZeroDivisionError('the pole broke')
  assert graphics.cause(error) is error
  of_mujoco = type('FatalError', (Exception,), {'__module__': 'mujoco'})
  found = graphics.cause(of_mujoco('no context'))
  assert isinstance(found, graphics.GraphicsError)
  assert 'MUJOCO_GL=nonsense' in str(found)


def test_a_worker_without_osmesa_says_what_to_install(monkeypatch):
  monkeypatch.setenv('MUJOCO_GL', 'osmesa')
  if graphics.works('osmesa'):
    pytest.skip('OSMesa is installed')
  with pytest.raises(graphics.GraphicsError, match='libosmesa6') as caught:
    workers.start('cartpole_swingup')
  assert '\n' not in str(caught.value)


def test_a_worker_without_an_egl_driver_says_what_to_install(monkeypatch):
  if not graphics.works('egl'):
    pytest.skip('EGL is not installed')
  monkeypatch.setenv('MUJOCO_GL', 'egl')
  monkeypatch.setenv('__EGL_VENDOR_LIBRARY_FILENAMES', os.devnull)
  with pytest.raises(graphics.GraphicsError, match='libegl1 libgl1') as caught:
    workers.start('cartpole_swingup')
  assert '\n' not in str(caught.value)


def test_a_task_that_draws_itself_needs_no_opengl(monkeypatch):
  monkeypatch.setenv('MUJOCO_GL', 'nonsense')
  with workers.start('hill') as worker:
    assert worker.reset().observation['image'].any()
