"""Serves the page of a dream on this machine's loopback, and to nobody else.

Any page that is open in the browser may send requests to 127.0.0.1, and a
name of its own may point there. So three things are asked of a request: a Host
that is the loopback, an Origin that is this server, and a token that only the
printed address has.
"""

import hmac
import http.server
import json
import pathlib
import re
import secrets
import sys
import threading
from typing import Any, Protocol

import numpy as np

from worldmodels import errors
from worldmodels.agents.play import actions

# Bytes of a request: an action of some numbers.
_LARGEST = 1 << 16
_HOST = re.compile(r'(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?')
_SECONDS = 60  # that a client may take for a request
_POLICY = (
  "default-src 'none'; img-src data:; connect-src 'self'; "
  "script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; base-uri 'none'; "
  "form-action 'none'; frame-ancestors 'none'"
)


class Dream(Protocol):
  """What a page steers."""

  spec: dict[str, Any]

  def begin(self, start: int) -> dict[str, Any]:
    """Begins anew from one of the starts."""

  def step(self, action: np.ndarray, draws: bool) -> dict[str, Any]:
    """Imagines a step."""

  def suggest(self) -> list[float] | None:
    """Returns the agent's own action."""


class Server(http.server.ThreadingHTTPServer):
  """A server of one dream.

  Attributes:
    address: of the page, with the token.

  Args:
    dream: that the page steers.
    port: of the loopback; 0 for a free one.
    fps: steps per second that the page starts with.

  Raises:
    OptionError: the port is taken, or not ours to take.
  """

  daemon_threads = True

  def __init__(self, dream: Dream, port: int, fps: float):
    try:
      super().__init__(('127.0.0.1', port), _Handler)
    except OSError as error:
      raise errors.OptionError(
        '--port', f'is {port}: {error.strerror}; 0 takes a free one'
      ) from error
    self.dream, self.fps = dream, fps
    self.token = secrets.token_urlsafe(24)
    self.lock = threading.Lock()  # One step at a time.
    port = self.server_address[1]
    self.address = f'http://127.0.0.1:{port}/?token={self.token}'

  def answer(self, path: str, asked: dict[str, Any]) -> dict[str, Any] | None:
    """Does what a request of the page asks; None if it cannot be done."""
    with self.lock:
      spec = self.dream.spec
      if path == '/begin':
        start = asked.get('start')
        if type(start) is not int or not 0 <= start < len(spec['starts']):
          return None
        found = self.dream.begin(start)
      elif path == '/step':
        action = actions.parse(
          asked.get('action'), spec['actions'], spec['discrete']
        )
        if action is None:
          return None
        found = self.dream.step(action, asked.get('draws') is True)
      else:
        return None
      if asked.get('suggest') is True:
        found['suggestion'] = self.dream.suggest()
      return found

  def handle_error(self, request: object, client_address: object) -> None:
    """Says nothing of a client that has left."""
    if not isinstance(sys.exception(), ConnectionError | TimeoutError):
      super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
  """Answers one request."""

  server: Server
  server_version, sys_version = 'worldmodels', ''
  protocol_version = 'HTTP/1.1'
  timeout = _SECONDS

  def do_GET(self) -> None:  # noqa: N802 (of the base class)
    """Sends the page."""
    path, _, query = self.path.partition('?')
    if not self._is_ours():
      return
    if path != '/':
      self._send(404, b'there is no such page', 'text/plain')
    elif not self._knows(query.removeprefix('token=')):
      self._refuse('the address needs the token that was printed with it')
    else:
      nonce = secrets.token_urlsafe(16)
      page = pathlib.Path(__file__).with_name('page.html').read_text('utf-8')
      about = dict(self.server.dream.spec, fps=self.server.fps)
      about = json.dumps(about).replace('<', '\\u003c')
      page = page.replace('{nonce}', nonce).replace('{about}', about)
      self._send(200, page.encode(), 'text/html; charset=utf-8', nonce)

  def do_POST(self) -> None:  # noqa: N802 (of the base class)
    """Does a step, or begins anew."""
    if not self._is_ours():
      return
    if not self._knows(self.headers.get('X-Token', '')):
      self._refuse('it lacks the token')
      return
    size = self.headers.get('Content-Length', '')
    if not re.fullmatch(r'\d{1,8}', size) or int(size) > _LARGEST:
      self.close_connection = True
      self._send(413, b'too large', 'text/plain')
      return
    try:
      asked = json.loads(self.rfile.read(int(size)))
    except (ValueError, RecursionError):
      asked = None
    found = None
    if isinstance(asked, dict):
      found = self.server.answer(self.path, asked)
    if found is None:
      self._send(400, b'this cannot be done', 'text/plain')
    else:
      content = json.dumps(found, allow_nan=False).encode()
      self._send(200, content, 'application/json')

  def log_message(self, *_: Any) -> None:
    """Says nothing of each request."""

  def _is_ours(self) -> bool:
    """Refuses what another page or another machine's name has sent."""
    host, origin = self.headers.get('Host', ''), self.headers.get('Origin')
    if not _HOST.fullmatch(host):
      self._refuse('this is not its host')
    elif origin is not None and origin != f'http://{host}':
      self._refuse('this is not its page')
    else:
      return True
    return False

  def _knows(self, token: str) -> bool:
    ours = self.server.token.encode()
    return hmac.compare_digest(token.encode('utf-8', 'replace'), ours)

  def _refuse(self, reason: str) -> None:
    self.close_connection = True  # What else it has sent is not read.
    self._send(403, reason.encode(), 'text/plain')

  def _send(
    self, status: int, content: bytes, kind: str, nonce: str = ''
  ) -> None:
    self.send_response(status)
    policy = _POLICY.format(nonce=nonce or secrets.token_urlsafe(16))
    for name, value in (
      ('Content-Type', kind),
      ('Content-Length', str(len(content))),
      ('Content-Security-Policy', policy),
      ('Cross-Origin-Opener-Policy', 'same-origin'),
      ('Cross-Origin-Resource-Policy', 'same-origin'),
      ('X-Content-Type-Options', 'nosniff'),
      ('Referrer-Policy', 'no-referrer'),
      ('Cache-Control', 'no-store'),
    ):
      self.send_header(name, value)
    if self.close_connection:
      self.send_header('Connection', 'close')
    self.end_headers()
    self.wfile.write(content)
