"""Chooses how TensorFlow runs its operations, before it computes anything."""

import keras
import ml_collections
import tensorflow as tf

from worldmodels import cores


def share_cores(
  config: ml_collections.ConfigDict, collectors: bool = False
) -> None:
  """Chooses the threads of an operation.

  When learning and acting overlap each of them gets half of the cores: with
  all of them for both, their operations wait for each other's threads.

  Args:
    config: of the run.
    collectors: whether other processes of this machine act meanwhile.
  """
  if config.train.overlap or collectors:
    cores.halve_threads()


def make_deterministic(config: ml_collections.ConfigDict) -> None:
  """Makes operations give the same bits each time, if the config says so.

  On a CPU ours do. On a GPU some of them sum in whatever order their threads
  come, unless one asks for slower ones.
  """
  if config.train.deterministic_ops:
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(config.seed)  # Random ones then want a seed.
