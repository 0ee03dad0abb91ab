"""Values of a config that are each within their range, and do not go together.

What is wrong is found before TensorFlow is loaded.
"""

from collections.abc import Iterator
from typing import Any

from worldmodels import kinds
from worldmodels.agents import several_members

Tree = dict[str, Any]

_CORNER = 4  # Side of the first map of a canvas of heads/keypoints.py.


def found(tree: Tree) -> Iterator[str]:
  """Yields what is wrong with the values of a config, a line each."""
  train, steps = tree['train'], tree.get('overshooting', {}).get('steps', 0)
  if train['episodes'] < train['seed_episodes']:
    yield (
      f'train.episodes is {train["episodes"]}; it is at least '
      f'train.seed_episodes ({train["seed_episodes"]})'
    )
  if train['length'] <= steps + 1:
    yield (
      f'train.length is {train["length"]}; it is more than overshooting.steps '
      f'+ 1 ({steps + 1})'
    )
  if tree['agent']['kind'] == 'model_free':
    frames, ahead = tree['agent']['frames'], tree['learner']['steps']
    if train['length'] < frames + ahead:
      yield (
        f'train.length is {train["length"]}; it is at least agent.frames '
        f'({frames}) + learner.steps ({ahead})'
      )
  planner = tree.get('planner', {})
  if {'elites', 'candidates'} <= planner.keys() and _has_elites(planner):
    if planner['elites'] > planner['candidates']:
      yield (
        f'planner.elites is {planner["elites"]}; it is 1 to '
        f'planner.candidates ({planner["candidates"]})'
      )
  heads = [f'heads.{name}' for name in tree.get('heads', ())]
  for group in (*heads, 'learner.critic'):
    options = _group(tree, group)
    if options.get('kind') == 'two_hot' and options.get('bins', 3) % 2 == 0:
      yield f'{group}.bins is {options["bins"]}; it is odd'
  bounded = 'learner.actor.distributions.bounded_normal'
  options = _group(tree, bounded)
  if options.get('min_std', 0) > options.get('max_std', 1):
    yield (
      f'{bounded}.min_std is {options["min_std"]}; it is at most max_std '
      f'({options["max_std"]})'
    )
  if len(tree['environment']['crop']) not in (0, 4):
    yield (
      f'environment.crop is {tuple(tree["environment"]["crop"])}; it is the '
      'pixels to cut off at top, bottom, left and right, or ()'
    )
  if 'encoder' in tree:
    yield from _image_problems(tree)
  if 'dynamics' in tree:
    yield from _planner_problems(tree)


def _group(tree: Tree, name: str) -> Tree:
  """Returns the group called `name`; empty if there is none."""
  for part in name.split('.'):
    tree = tree.get(part) or {}
  return tree


def _planner_problems(tree: Tree) -> Iterator[str]:
  """Yields what would plan as if one of its options were not there."""
  planner = tree.get('planner', {})
  replan, horizon = planner.get('replan', 1), planner.get('horizon', 1)
  if replan > 1 and tree['agent']['kind'] == 'dreamer':
    yield f'planner.replan is {replan}; dreamer plans at every step (1)'
  elif replan > horizon:
    yield (
      f'planner.replan is {replan}; a plan has planner.horizon ({horizon}) '
      'steps'
    )
  count, risk = planner.get('particles', 1), planner.get('risk', 'mean')
  if count == 1 and risk in ('optimism', 'pessimism'):
    yield (
      f'planner.particles is 1; planner.risk {risk!r} needs at least 2, whose '
      'returns differ'
    )
  members = several_members.of(tree['dynamics'])
  # Members are dealt by chance, too.
  dealt = members != 1 and planner.get('propagation') != 'expectation'
  if planner.get('common') and not planner.get('sample', True) and not dealt:
    yield (
      'planner.common is True, and nothing is drawn: give it '
      'planner.sample=True'
    )
  for option, problem in several_members.lacking(
    planner, members, tells=members != 1
  ):
    yield f'planner.{option} {problem}'


def _has_elites(planner: Tree) -> bool:
  """Returns whether a planner takes elites; one of the user's says it later."""
  package, kind = 'worldmodels.agents.planners', str(planner.get('kind'))
  if kind not in kinds.names(package, 'plan'):
    return ':' not in kind
  return 'elites' in kinds.keywords(package, kind, 'plan')


def _image_problems(tree: Tree) -> Iterator[str]:
  """Yields what is wrong with networks for images of this size."""
  size = tree['environment']['size']
  encoder = tree['encoder']
  for key in ('nats', 'whiten'):
    if encoder.get(key) and not encoder.get('center'):
      yield (
        f'encoder.{key} is {encoder[key]}; it is of pixels without their mean '
        'image: encoder.center=True'
      )
  if encoder.get('embeds') == 'maps' and not encoder.get('further', True):
    yield (
      "encoder.embeds is 'maps'; encoder.further, which makes them, is empty"
    )
  head = tree['heads']['image'] if 'heads' in tree else {'kind': 'none'}
  # What lacks one of these options is answered by those who make it.
  needed = {'padding', 'channels', 'kernel'}
  convolves = (
    encoder.get('kind') == 'convolutional' and needed <= encoder.keys()
  )
  if convolves and encoder['padding'] == 'valid':
    left = size
    for index, _ in enumerate(encoder['channels']):
      if left < encoder['kernel']:
        yield (
          f'encoder.kernel is {encoder["kernel"]}; convolution {index + 1} of '
          f'encoder.channels gets a map of {left} x {left} from images of '
          f'{size} x {size}'
        )
        return
      left = (left - encoder['kernel']) // 2 + 1
  channels = len(head.get('channels', ()))
  if head['kind'] == 'keypoints' and 'side' in head:
    drawn = head['side'] * 2 ** (channels + 1)
    if drawn != size:
      yield (
        f'heads.image draws {drawn} x {drawn}, its side ({head["side"]}) '
        f'doubled by each of its channels ({channels}) and once more; '
        f'environment.size is {size}'
      )
  canvas = tuple(head.get('canvas', ()))
  if head['kind'] == 'keypoints' and canvas and 'side' in head:
    grown = _CORNER * 2 ** (len(canvas) - 1)
    if grown != head['side']:
      yield (
        f'heads.image.canvas is {canvas}, which make a map of {grown} x '
        f'{grown}; heads.image.side is {head["side"]}'
      )
  if head['kind'] == 'convolutional' and 'start' in head:
    layers = 3 if head['start'] == 1 else 4
    if channels not in (layers - 1, layers):
      yield (
        f'heads.image.channels is {head["channels"]}; from a start of '
        f'{head["start"]} it has {layers} parts'
      )
    if size != 64:
      yield f'environment.size is {size}; heads.image draws 64 x 64'
