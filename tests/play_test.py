"""`worldmodels play`: the page in a browser, and what the server refuses."""

import contextlib
import http.client
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading

import browser
import numpy as np
import pytest

from worldmodels.agents.play import actions
from worldmodels.agents.play import server

ROOT = pathlib.Path(__file__).parent.parent
IMAGE = (
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4'
  '2mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
)


class Steered:
  """Takes notes of what it is asked, in the place of a model."""

  def __init__(self, size=2, discrete=False):
    self.spec = dict(
      actions=size,
      discrete=discrete,
      starts=['</script><script>bad()</script>', 'b'],
      task='hill</script>',
    )
    self.taken, self.begun = [], []

  def begin(self, start):
    self.begun.append(start)
    return self._shown(0)

  def step(self, action, draws):
    self.taken.append([float(x) for x in action])
    return self._shown(len(self.taken))

  def suggest(self):
    if self.spec['discrete']:
      return [0.0] * (self.spec['actions'] - 1) + [1.0]
    return [0.25] * self.spec['actions']

  def _shown(self, step):
    seen = dict(image=IMAGE, start=0, step=step)
    return dict(seen, reward=0.5, total=0.5 * step, alive=1.0)


@contextlib.contextmanager
def served(dream, fps=30):
  with server.Server(dream, 0, fps) as found:
    thread = threading.Thread(target=found.serve_forever, args=(0.05,))
    thread.start()
    try:
      yield found
    finally:
      found.shutdown()
      thread.join()


def ask(found, method, path, body=None, **headers):
  """(status, headers, body) of a request; a header of None is left out."""
  port = found.server_address[1]
  connection = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
  given = {'Host': f'127.0.0.1:{port}', 'X-Token': found.token}
  given.update({k.replace('_', '-'): v for k, v in headers.items()})
  connection.putrequest(method, path, skip_host=True)
  body = body if body is None or isinstance(body, bytes) else json.dumps(body)
  body = body.encode() if isinstance(body, str) else body
  if body is not None and 'Content-Length' not in given:
    given['Content-Length'] = str(len(body))
  for name, value in given.items():
    if value is not None:
      connection.putheader(name, value)
  connection.endheaders(body)
  answer = connection.getresponse()
  content = answer.read()
  connection.close()
  return answer.status, answer.headers, content


# ------------------------------------------------------------- in a browser ---


def test_keys_steer_the_dream_in_a_browser():
  dream = Steered()
  with served(dream) as found, browser.started() as page:
    page.open(found.address)
    page.wait('document.images[0].naturalWidth > 0')
    assert page.run('document.title') == 'A dream of hill</script>'
    assert dream.begun == [0] and not dream.taken  # It waits for a key.
    for key, action in (
      ('ArrowRight', [1, 0]),
      ('ArrowLeft', [-1, 0]),
      ('ArrowUp', [0, 1]),
      ('ArrowDown', [0, -1]),
    ):
      page.key(key)
      page.wait(
        f'JSON.stringify(action()) === "{json.dumps(action)}"'.replace(
          ', ', ','
        )
      )
      steps = len(dream.taken)
      page.wait(f'parseInt(find("state").textContent.slice(5)) > {steps + 2}')
      page.key(key, down=False)
      assert action in dream.taken[steps:]
    # No key: nothing is done; or the agent's suggestion, if it is switched on.
    steps = len(dream.taken)
    page.wait(f'parseInt(find("state").textContent.slice(5)) > {steps + 2}')
    assert dream.taken[-1] == [0, 0]
    page.key('p')
    page.key('p', down=False)
    steps = len(dream.taken)
    page.wait(f'parseInt(find("state").textContent.slice(5)) > {steps + 3}')
    assert dream.taken[-1] == [0.25, 0.25]
    page.key(' ')  # It pauses.
    page.wait('!running && !busy')
    page.key('n')
    page.wait('find("state").textContent.startsWith("step 0")')
    assert dream.begun[-1] == 1
    assert page.errors == []
    port = found.server_address[1]
    assert all(
      address.startswith((f'http://127.0.0.1:{port}/', 'data:'))
      for address in page.requests
    )


def test_choices_have_keys_too():
  dream = Steered(3, discrete=True)
  with served(dream) as found, browser.started() as page:
    page.open(found.address)
    for key, action in (('2', [0, 0, 1]), ('ArrowLeft', [0, 1, 0])):
      page.key(key)
      steps = len(dream.taken)
      page.wait(f'parseInt(find("state").textContent.slice(5)) > {steps + 2}')
      assert dream.taken[-1] == action
      page.key(key, down=False)
    assert page.errors == []


# ------------------------------------------------------------------ refused ---


def test_it_answers_its_own_page_alone():
  """Not another page of the browser, and not a name that points here."""
  dream = Steered()
  with served(dream) as found:
    port = found.server_address[1]
    assert found.server_address[0] == '127.0.0.1'
    page = f'/?token={found.token}'
    assert ask(found, 'GET', page)[0] == 200
    step = {'action': [0, 1]}
    own = f'http://127.0.0.1:{port}'
    for host in (f'localhost:{port}', '[::1]', '127.0.0.1:9000'):
      assert ask(found, 'POST', '/step', step, Host=host)[0] == 200
    assert ask(found, 'POST', '/step', step, Origin=own)[0] == 200
    done = len(dream.taken)
    for wrong in (
      {'Host': 'rebound.example.com'},
      {'Host': f'rebound.example.com:{port}'},
      {'Host': f'127.0.0.1.example.com:{port}'},
      {'Host': ''},
      {'Host': None},
      {'Origin': 'http://example.com'},
      {'Origin': 'null'},
      {'Origin': f'http://127.0.0.1:{port + 1}'},
      {'Origin': f'https://127.0.0.1:{port}'},
    ):
      assert ask(found, 'GET', page, **wrong)[0] == 403, wrong
      assert ask(found, 'POST', '/step', step, **wrong)[0] == 403, wrong
    for token in (None, '', 'x', found.token[:-1], found.token + 'é'):
      token = token and token.encode('latin-1')
      assert ask(found, 'POST', '/step', step, X_Token=token)[0] == 403
    assert ask(found, 'GET', '/')[0] == 403
    assert ask(found, 'GET', '/?token=x')[0] == 403
    assert len(dream.taken) == done
    # Nobody is told that another page may read an answer.
    for method, path in (('GET', page), ('POST', '/step'), ('GET', '/x')):
      _, headers, _ = ask(found, method, path, step)
      assert not [x for x in headers if x.startswith('Access-Control')]
      assert headers['X-Content-Type-Options'] == 'nosniff'
      assert "default-src 'none'" in headers['Content-Security-Policy']


@pytest.mark.parametrize(
  'path, body, status',
  [
    ('/step', {'action': [0, 2]}, 400),
    ('/step', {'action': [0]}, 400),
    ('/step', {'action': [0, True]}, 400),
    ('/step', {'action': ['0', 0]}, 400),
    ('/step', b'{"action": [0, NaN]}', 400),
    ('/step', {'action': None}, 400),
    ('/step', [], 400),
    ('/step', b'words', 400),
    ('/step', b'\xff', 400),
    ('/step', b'[' * 60_000, 400),
    ('/step', b'x' * 70_000, 413),
    ('/begin', {'start': 2}, 400),
    ('/begin', {'start': -1}, 400),
    ('/begin', {'start': True}, 400),
    ('/begin', {}, 400),
    ('/gone', {}, 400),
  ],
)
def test_requests_that_cannot_be_done(path, body, status):
  dream = Steered()
  with served(dream) as found:
    assert ask(found, 'POST', path, body)[0] == status
    assert not dream.taken and not dream.begun
    assert ask(found, 'POST', '/step', {'action': [0, -1]})[0] == 200


def test_other_lengths_and_methods():
  with served(Steered()) as found:
    for length in ('-1', 'ten', '999999999999', None):
      given = {'Content_Length': length}
      assert ask(found, 'POST', '/step', b'', **given)[0] == 413, length
    for method in ('PUT', 'DELETE', 'OPTIONS', 'HEAD'):
      assert ask(found, method, '/step')[0] == 501
    assert ask(found, 'GET', '/page.html')[0] == 404


def test_actions_of_choices_are_one_hot():
  assert actions.parse([0, 1.0], 2, True).tolist() == [0, 1]
  for wrong in ([0, 0], [1, 1], [0.5, 0.5], [0, 1, 0], [-1, 1]):
    assert actions.parse(wrong, 2, True) is None
  found = actions.parse([0.5, -1], 2, False)
  assert found.dtype == np.float32 and found.tolist() == [0.5, -1]


# ------------------------------------------------------------- the program ---


def test_a_run_is_played(debug_run):
  """From the program's start to Ctrl-C; the run is as it was."""
  before = sorted(debug_run.rglob('*'))
  program = subprocess.Popen(
    [sys.executable, '-m', 'worldmodels', 'play', f'--logdir={debug_run}'],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  try:
    address = ''
    for line in program.stdout:
      if line.startswith('page: '):
        address = line.split()[1]
        break
    assert address, program.stderr.read()
    port, token = re.fullmatch(
      r'http://127\.0\.0\.1:(\d+)/\?token=([\w-]{32})', address
    ).groups()

    class Found:
      server_address = ('127.0.0.1', int(port))

    Found.token = token
    status, _, page = ask(Found, 'GET', f'/?token={token}')
    assert (
      status == 200 and b'"actions": 1' in page and b'"task": "hill"' in page
    )
    _, _, first = ask(Found, 'POST', '/begin', {'start': 0, 'suggest': True})
    first = json.loads(first)
    assert first['step'] == 0 and len(first['suggestion']) == 1
    images = {first['image']}
    for value in (1, -1, first['suggestion'][0]):
      body = {'action': [value], 'draws': value == -1}
      _, _, found = ask(Found, 'POST', '/step', body)
      found = json.loads(found)
      images.add(found['image'])
      assert np.isfinite(found['reward'])
    assert found['step'] == 3 and len(images) == 4
    # The same actions from the same start are the same dream.
    again = [
      json.loads(ask(Found, 'POST', path, body)[2])
      for path, body in (
        ('/begin', {'start': 0}),
        ('/step', {'action': [1]}),
        ('/begin', {'start': 0}),
        ('/step', {'action': [1]}),
      )
    ]
    assert again[0] == again[2] and again[1] == again[3]
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=60)
    assert program.returncode == 130 and 'Traceback' not in errors
  finally:
    program.kill()
    program.communicate()
  assert sorted(debug_run.rglob('*')) == before


def test_wrong_input_is_one_line(debug_run, program, tmp_path):
  (tmp_path / 'no.npz').write_bytes(b'words')
  for flags, says in (
    ((), '--logdir is missing'),
    ((f'--logdir={tmp_path}',), 'not a run'),
    ((f'--logdir={debug_run}', '--port=70000'), '--port=70000'),
    ((f'--logdir={debug_run}', '--fps=nan'), '--fps'),
    ((f'--logdir={debug_run}', '--checkpoint=3'), 'no checkpoint of 3 updates'),
    ((f'--logdir={debug_run}', f'--episode={tmp_path}/no.npz'), '--episode='),
  ):
    done = program('play', *flags)
    assert done.returncode in (1, 2) and done.stderr.count('\n') == 1
    assert says in done.stderr and done.stderr.startswith('error: ')


def test_a_port_that_is_taken_is_one_line():
  with socket.socket() as other:
    other.bind(('127.0.0.1', 0))
    other.listen()
    port = other.getsockname()[1]
    with pytest.raises(server.errors.OptionError, match=f'--port is {port}: '):
      server.Server(Steered(), port, 10)
