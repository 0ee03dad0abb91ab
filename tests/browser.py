"""Headless Chromium, as tests use it: pages, what they say, keys, pictures.

It is spoken to through two pipes in the Chrome DevTools Protocol: messages of
JSON, with a zero byte after each.
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

import pytest

_FLAGS = (
  *('--headless', '--no-sandbox', '--disable-gpu', '--disable-quic'),
  *('--no-first-run', '--disable-background-networking', '--disable-sync'),
  *('--disable-component-update', '--disable-dev-shm-usage'),
  *('--autoplay-policy=no-user-gesture-required', '--hide-scrollbars'),
)
_SECONDS = 120


@contextlib.contextmanager
def started():
  """A Browser; without Chromium the test is skipped, and in CI it fails."""
  command = shutil.which('chromium')
  if command is None:
    if os.environ.get('CI'):
      pytest.fail('no chromium: apt-get install chromium')
    pytest.skip('no chromium: apt-get install chromium')
  with tempfile.TemporaryDirectory() as folder:
    to_read, to_write = os.pipe(), os.pipe()
    # The browser reads from descriptor 3 and writes to 4, which may be taken.
    given = [
      fcntl.fcntl(x, fcntl.F_DUPFD, 10) for x in (to_read[0], to_write[1])
    ]
    process = subprocess.Popen(
      [
        *('bash', '-c', f'exec "$@" 3<&{given[0]} 4>&{given[1]}'),
        *('bash', command, *_FLAGS, '--remote-debugging-pipe'),
        *(f'--user-data-dir={folder}', 'about:blank'),
      ],
      pass_fds=given,
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
    )
    for descriptor in (to_read[0], to_write[1], *given):
      os.close(descriptor)
    try:
      yield Browser(to_write[0], to_read[1])
    finally:
      process.kill()
      process.wait()
      os.close(to_read[1])
      os.close(to_write[0])
      time.sleep(0.2)  # What it has started ends with it.


class Browser:
  """One page in a browser.

  Attributes:
    errors: what the console had to complain of, and uncaught exceptions.
    requests: addresses of all that was loaded, pages included.
  """

  def __init__(self, incoming, outgoing):
    self._in, self._out = incoming, outgoing
    self._buffer, self._number, self._session = b'', 0, None
    self.errors, self.requests, self._events = [], [], set()
    (target,) = [
      found
      for found in self._call('Target.getTargets')['targetInfos']
      if found['type'] == 'page'
    ]
    self._session = self._call(
      'Target.attachToTarget', targetId=target['targetId'], flatten=True
    )['sessionId']
    for domain in ('Page', 'Runtime', 'Log', 'Network'):
      self._call(f'{domain}.enable')

  def open(self, address, width=1240, height=1000):
    """Opens a page and waits until it is loaded."""
    self._call(
      'Emulation.setDeviceMetricsOverride',
      **dict(width=width, height=height, deviceScaleFactor=1, mobile=False),
    )
    self._events.discard('Page.loadEventFired')
    self._call('Page.navigate', url=address)
    end = time.monotonic() + _SECONDS
    while 'Page.loadEventFired' not in self._events:
      self._receive(end)

  def run(self, script):
    """Returns the value of a script, waited for if it is a promise."""
    found = self._call(
      'Runtime.evaluate',
      **dict(expression=script, awaitPromise=True, returnByValue=True),
    )
    assert 'exceptionDetails' not in found, found
    return found['result'].get('value')

  def wait(self, script, seconds=_SECONDS):
    """Waits until the value of a script is true, and returns it."""
    end = time.monotonic() + seconds
    while not (value := self.run(script)):
      assert time.monotonic() < end, f'{script} stays {value}'
      time.sleep(0.05)
    return value

  def key(self, name, down=True):
    """Presses a key, or lets it go."""
    kind = 'keyDown' if down else 'keyUp'
    self._call('Input.dispatchKeyEvent', type=kind, key=name, code=name)

  def picture(self, full=True):
    """Returns a PNG of the page."""
    found = self._call(
      'Page.captureScreenshot', format='png', captureBeyondViewport=full
    )
    return base64.b64decode(found['data'])

  def _call(self, method, **values):
    self._number += 1
    message = dict(id=self._number, method=method, params=values)
    if self._session:
      message['sessionId'] = self._session
    os.write(self._out, json.dumps(message).encode() + b'\0')
    end = time.monotonic() + _SECONDS
    while True:
      answer = self._receive(end)
      if answer.get('id') == self._number:
        assert 'error' not in answer, answer
        return answer['result']

  def _receive(self, end):
    """Returns the next message, and takes note of what it says."""
    while b'\0' not in self._buffer:
      ready, _, _ = select.select([self._in], [], [], end - time.monotonic())
      assert ready, 'the browser does not answer'
      more = os.read(self._in, 1 << 20)
      assert more, 'the browser has ended'
      self._buffer += more
    text, _, self._buffer = self._buffer.partition(b'\0')
    message = json.loads(text)
    name, values = message.get('method'), message.get('params', {})
    self._events.add(name)
    if name == 'Runtime.exceptionThrown':
      self.errors.append(str(values['exceptionDetails']))
    elif name == 'Log.entryAdded' and values['entry']['level'] == 'error':
      self.errors.append(values['entry']['text'])
    elif name == 'Runtime.consoleAPICalled' and values['type'] == 'error':
      self.errors.append(str(values['args']))
    elif name == 'Network.requestWillBeSent':
      self.requests.append(values['request']['url'])
    return message
