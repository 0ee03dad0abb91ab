"""Reads and writes features.json, in which RLDS says what its columns are."""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from worldmodels.data import rows
from worldmodels.data.recordings import RecordingError

_CLASSES = 'tensorflow_datasets.core.features'
_MOST_SIDE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Column:
  """A column of the steps of an episode.

  Attributes:
    shape: of a step.
    is_image: whether a step has a file of an image.
    choices: from how many labels it is one; 0 for other numbers.
  """

  shape: tuple[int, ...]
  is_image: bool = False
  choices: int = 0


def columns(described: object, path: pathlib.Path) -> dict[str, Column]:
  """Returns the columns below `steps` by name, as in records.

  Args:
    described: JSON of the file.
    path: of the file, for messages.

  Raises:
    RecordingError: it describes no steps.
  """
  found = {}
  try:
    steps = described['featuresDict']['features']['steps']['sequence']
    _collect(steps['feature'], 'steps', found)
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise RecordingError(
      f'{path} is damaged, or of no RLDS: it describes no steps'
    ) from error
  return found


def _collect(feature: Any, name: str, found: dict[str, Column]) -> None:  # noqa: ANN401 (JSON)
  """Adds the columns of a feature that may have others below."""
  if 'featuresDict' in feature:
    for key, below in feature['featuresDict']['features'].items():
      _collect(below, f'{name}/{key}', found)
  elif 'image' in feature:
    found[name] = Column(_shape(feature['image']), is_image=True)
  elif 'classLabel' in feature:
    found[name] = Column((), choices=int(feature['classLabel']['numClasses']))
  elif 'tensor' in feature:
    encoded = feature['tensor'].get('encoding', 'none')
    if encoded == 'none':  # Others are bytes of their own, of which none learn.
      found[name] = Column(_shape(feature['tensor']))


def _shape(described: Mapping[str, Any]) -> tuple[int, ...]:
  sides = described.get('shape', {}).get('dimensions', [])
  shape = tuple(max(-1, int(side)) for side in sides)
  if any(side > _MOST_SIDE for side in shape):
    raise ValueError('a side')
  return shape


def actions(found: Mapping[str, Column]) -> list[str]:
  """Returns the names of the columns that make up an action, if any do."""
  if 'steps/action' in found:
    return ['steps/action']
  return sorted(
    name
    for name, column in found.items()
    if name.startswith('steps/action/') and not column.is_image
  )


def vectors(keys: Iterable[str]) -> list[str]:
  """Returns the names of what is no column of rows.py."""
  return [key for key in keys if key not in rows.RESERVED]


def described(
  shapes: Mapping[str, tuple[int, ...]], choices: int
) -> dict[str, Any]:
  """Returns the JSON of an episode of ours.

  Args:
    shapes: of a step, by key.
    choices: from how many an action is one; 0 for numbers.
  """
  image = {
    'pythonClassName': f'{_CLASSES}.image_feature.Image',
    'image': {
      'shape': _dimensions(shapes['image']),
      'dtype': 'uint8',
      'encodingFormat': 'png',
    },
  }
  seen = {key: _tensor(shapes[key], 'float32') for key in vectors(shapes)}
  steps = {
    'observation': _dict({**seen, 'image': image}),
    'reward': _tensor((), 'float32'),
    'discount': _tensor((), 'float32'),
    **{key: _tensor((), 'bool') for key in rows.FLAGS},
  }
  if choices:
    steps['action'] = _tensor((), 'int64')
  elif shapes['action'] != (0,):
    steps['action'] = _tensor(shapes['action'], 'float32')
  dataset = {
    'pythonClassName': f'{_CLASSES}.dataset_feature.Dataset',
    'sequence': {'feature': _dict(steps), 'length': '-1'},
  }
  return _dict({'steps': dataset})


def _dict(features: Mapping[str, Any]) -> dict[str, Any]:
  return {
    'pythonClassName': f'{_CLASSES}.features_dict.FeaturesDict',
    'featuresDict': {'features': dict(features)},
  }


def _tensor(shape: tuple[int, ...], dtype: str) -> dict[str, Any]:
  return {
    'pythonClassName': f'{_CLASSES}.tensor_feature.Tensor',
    'tensor': {
      'shape': _dimensions(shape),
      'dtype': dtype,
      'encoding': 'none',
    },
  }


def _dimensions(shape: tuple[int, ...]) -> dict[str, Any]:
  return {'dimensions': [str(side) for side in shape]} if shape else {}
