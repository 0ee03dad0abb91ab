"""Which nodes a cluster has, and what they say when they are asked.

Of a node that cannot run our commands, or an error of Ray's, one line is made.
"""

from collections.abc import Mapping, Sequence

from worldmodels.agents.cluster import engine
from worldmodels.agents.cluster import node
from worldmodels.agents.cluster import places

NODE = 'ray.io/node-id'  # The label that Ray gives each node.

_ANSWER_SECONDS = 60.0  # for a node to say what it has
# What says all in a longer text, and what we say.
_KNOWN = {
  'its node has died': 'its node has died',
  'its worker process has died': 'its worker process has died',
  'temporarily unavailable': 'it cannot be reached',
}
_TEXT = 200  # characters of an error of Ray


def nodes(of: engine.Engine) -> list[places.Node]:
  """Returns the nodes that have cores for commands."""
  found = []
  for x in of.ray.nodes():
    cores = int(x['Resources'].get('CPU', 0))
    if x['Alive'] and cores:
      gpus = int(x['Resources'].get('GPU', 0))
      name = x['NodeManagerHostname']
      found.append(places.Node(name, x['NodeID'], cores, gpus))
  return found


def says(of: engine.Engine, size: places.Size) -> str:
  """Says how many commands run at a time, and on what."""
  there = nodes(of)
  cores = sum(x.cores for x in there)
  parts = [f'{size.cores} core{"s" * (size.cores > 1)}']
  if size.gpus:
    parts.append(f'{size.gpus:g} GPU{"s" * (size.gpus > 1)}')
  return (
    f'up to {size.jobs} at a time, each with {" and ".join(parts)}, on '
    f'{len(there)} node{"s" * (len(there) != 1)} of {cores} cores at '
    f'{of.address}'
  )


def ask(
  of: engine.Engine, there: Sequence[places.Node], token: node.Token
) -> dict[str, str]:
  """Returns what is wrong with each node, by its number; '' for nothing."""
  if not there:
    return {}
  question = of.ray.remote(node.complaint)
  asked = {
    question.options(
      num_cpus=0, max_retries=0, label_selector={NODE: x.number}
    ).remote(token, node.identity()): x.number
    for x in there
  }
  answered, silent = of.ray.wait(
    list(asked), num_returns=len(asked), timeout=_ANSWER_SECONDS
  )
  said = {asked[x]: 'does not answer' for x in silent}
  for x in answered:
    try:
      said[asked[x]] = of.ray.get(x)
    except of.ray.exceptions.RayError as error:
      said[asked[x]] = missing(error) or cause(error)
  return said


def check(of: engine.Engine, refused: Mapping[str, str]) -> None:
  """Raises ClusterError where no node is left of those that are there.

  Args:
    of: Ray.
    refused: what is wrong with some nodes, by their numbers.
  """
  there = nodes(of) if refused else []
  if there and all(x.number in refused for x in there):
    raise engine.ClusterError(
      f'no node of the cluster can run this: {there[0].name} '
      f'{refused[there[0].number]}'
    )


def missing(error: Exception) -> str:
  """Returns what a node lacks whose Python cannot load what it was sent."""
  text = str(error)
  if 'No module named' not in text:
    return ''
  name = text.rpartition('No module named ')[2].split()[0].strip('\'".')
  return f'has no module {name}: install the same worldmodels there as here'


def cause(error: Exception) -> str:
  """Returns what an error of Ray says, in one line that is not long."""
  text = str(error)
  for known, said in _KNOWN.items():
    if known in text:
      return said
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  return ' '.join(lines)[:_TEXT] or type(error).__name__
