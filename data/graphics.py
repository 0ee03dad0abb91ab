"""Finds the OpenGL that renders without a display, or names what to install.

`python3 -m worldmodels.data.graphics` needs only the standard library, so it
runs before anything is installed: it prints one line, and fails if no OpenGL
works.
The probe does what dm_control and MuJoCo do when they are imported, in a
process of its own because a broken driver crashes the process that asks.
"""

import functools
import os
import subprocess
import sys

from worldmodels import errors

PACKAGES = {'egl': 'libegl1 libgl1', 'osmesa': 'libosmesa6'}

_APT = 'apt-get install --no-install-recommends'
_NAMES = ('egl', 'osmesa', 'glfw')
_DISPLAYS = ('DISPLAY', 'WAYLAND_DISPLAY')
_LOADERS = ('dm_control', 'mujoco', 'OpenGL', 'glfw')
PROBE_SECONDS = 60

_PROBE_EGL = """
import ctypes
ctypes.CDLL('libGL.so.1')
egl = ctypes.CDLL('libEGL.so.1')
void, get = ctypes.c_void_p, egl.eglGetProcAddress
get.restype, get.argtypes = void, [ctypes.c_char_p]
def function(name, result, *arguments):
  address = get(name)
  assert address, name
  return ctypes.CFUNCTYPE(result, *arguments)(address)
integer = ctypes.c_int
query = function(b'eglQueryDevicesEXT', ctypes.c_uint, integer, void, void)
display_of = function(b'eglGetPlatformDisplayEXT', void, integer, void, void)
devices, count = (void * 64)(), integer()
assert query(64, devices, ctypes.byref(count)), 'no EGL device'
egl.eglInitialize.argtypes = [void, void, void]
for device in devices[:count.value]:
  display = display_of(0x313F, device, None)  # EGL_PLATFORM_DEVICE_EXT
  if display and egl.eglInitialize(display, None, None):
    break
else:
  raise SystemExit('no EGL device can be initialized')
"""
_PROBE_OSMESA = """
import ctypes
osmesa = ctypes.CDLL('libOSMesa.so.8')
create = osmesa.OSMesaCreateContextExt
create.restype = ctypes.c_void_p
create.argtypes = [ctypes.c_int] * 4 + [ctypes.c_void_p]
assert create(0x1908, 24, 8, 0, None), 'no OSMesa context'  # OSMESA_RGBA
"""
PROBES = {'egl': _PROBE_EGL, 'osmesa': _PROBE_OSMESA}


class GraphicsError(errors.UserError):
  """No OpenGL renders here; the message says what to install."""


def backend() -> str:
  """Finds the OpenGL backend to render with.

  Returns:
    MUJOCO_GL if it is set and works, else the first of `egl` and `osmesa` that
    works.

  Raises:
    GraphicsError: none works, or MUJOCO_GL names one that does not. The message
      is one line.
  """
  wanted = os.environ.get('MUJOCO_GL', '').strip().lower()
  if not wanted:
    for name in PROBES:
      if works(name):
        return name
    raise GraphicsError(
      'no OpenGL that renders without a display: '
      f'{_APT} {PACKAGES["egl"]}  (or {PACKAGES["osmesa"]})'
    )
  if wanted not in _NAMES:
    raise GraphicsError(
      f'MUJOCO_GL={wanted} is none of {", ".join(_NAMES)}: unset it, or use '
      'MUJOCO_GL=egl'
    )
  if wanted == 'glfw' and not _has_display():
    raise GraphicsError(
      'MUJOCO_GL=glfw needs a display and there is none: unset it, or use '
      'MUJOCO_GL=egl'
    )
  if wanted in PROBES and not works(wanted):
    raise GraphicsError(
      f'MUJOCO_GL={wanted} does not work here: {_APT} {PACKAGES[wanted]}'
    )
  return wanted


def check() -> None:
  """Raises GraphicsError if MuJoCo has been told of an OpenGL that fails.

  A backend that renders without a display fails when it is imported; the others
  would only at the first image.
  """
  if os.environ.get('MUJOCO_GL') not in PROBES:
    backend()


def cause(error: Exception) -> Exception:
  """Returns the GraphicsError behind an error of MuJoCo's, else the error."""
  if isinstance(error, errors.UserError) or not _is_of_graphics(error):
    return error
  try:
    name = backend()
  except GraphicsError as found:
    return found
  if name == 'glfw' and 'OpenGL' in str(error):  # MuJoCo has no context.
    shown = ', '.join(
      f'{x}={os.environ[x]}' for x in _DISPLAYS if x in os.environ
    )
    told = GraphicsError(
      f'MUJOCO_GL=glfw cannot use the display {shown}: unset it, or use '
      'MUJOCO_GL=egl'
    )
    return told.with_traceback(error.__traceback__)
  return error


@functools.cache
def works(name: str) -> bool:
  """Tries, once, whether the backend `egl` or `osmesa` can be used."""
  command = [sys.executable, '-I', '-S', '-c', PROBES[name]]
  try:
    probe = subprocess.run(
      command, capture_output=True, timeout=PROBE_SECONDS, check=False
    )
  except subprocess.TimeoutExpired:
    return False
  return probe.returncode == 0


def _has_display() -> bool:
  return sys.platform == 'darwin' or any(map(os.environ.get, _DISPLAYS))


def _is_of_graphics(error: Exception) -> bool:
  """Returns whether an error was raised inside what loads OpenGL."""
  modules = [type(error).__module__]
  trace = error.__traceback__
  while trace:
    modules.append(trace.tb_frame.f_globals.get('__name__', ''))
    trace = trace.tb_next
  return any(name.partition('.')[0] in _LOADERS for name in modules)


def main() -> int:
  """Prints the backend, or what to install; returns the exit status."""
  try:
    name = backend()
  except GraphicsError as error:
    print(f'graphics: {error}', file=sys.stderr)
    return 1
  note = '' if name != 'osmesa' else ' (EGL does not work here)'
  print(f'graphics: rendering with {name}{note}')
  return 0


if __name__ == '__main__':
  sys.exit(main())
