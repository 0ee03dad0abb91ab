"""Films of predictions: of images, and of curves where there are none."""

import pytest

from worldmodels.agents.runs import dream_film
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.spec import Spec

IMAGES = Spec(actions=1, image=(64, 64, 3))
VECTORS = Spec(actions=1, vectors={'pose': 3})


@pytest.mark.parametrize('spec', [IMAGES, VECTORS])
def test_what_no_encoder_takes_is_refused(spec):
  dream_film.check_size(spec, 50, 3, ['a', 'b'])
  with pytest.raises(RunError, match='lower --scale, --episodes or --horizon'):
    dream_film.check_size(spec, 50, 3, ['a'] * 200)
  with pytest.raises(RunError, match='would have 100000 frames'):
    dream_film.check_size(spec, 100_000, 3, ['a', 'b'])


def test_rows_count():
  few, many = ['truth', 'model'], ['row'] * 90
  dream_film.check_size(IMAGES, 5, 3, ['a'], few)
  with pytest.raises(RunError, match='5 frames of'):
    dream_film.check_size(IMAGES, 5, 3, ['a'], many)
