"""Configs of eyes.toml: Dreamer's `cpu` with other eyes."""

from ml_collections import config_dict

from worldmodels.configs import dreamer


def get_config(preset: str) -> config_dict.ConfigDict:
  """Returns `cpu` that draws, or sees and draws, with convolutions.

  Args:
    preset: `transposed` for the decoder, `convolutions` for both.
  """
  config = dreamer.get_config('cpu')
  layers = dict(
    activation='elu',
    initializer='he_normal',
    normalization='none',
    precision='mixed_bfloat16',
  )
  channels = {'transposed': (64, 32, 16, 16), 'convolutions': (64, 64, 32, 16)}
  config.heads.image = config_dict.create(
    kind='convolutional',
    scale=4.0,
    share=0.25,
    start=4,
    linear=0,
    channels=channels[preset],
    **layers,
  )
  if preset == 'convolutions':
    config.encoder = config_dict.create(
      kind='convolutional',
      bits=8,
      center=True,
      whiten=0.0,
      channels=(16, 32, 64, 64),
      kernel=4,
      padding='same',
      **layers,
    )
  return config
