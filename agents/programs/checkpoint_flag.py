"""The flag that picks a checkpoint of a finished run."""

from absl import flags

# The flag is of the program that calls `define`, and shown in its help.
flags.disclaim_key_flags()


def define(use: str) -> flags.FlagHolder:
  """Defines --checkpoint.

  Args:
    use: what is done with it, as in 'the one to evaluate'.
  """
  return flags.DEFINE_integer(
    'checkpoint',
    None,
    f'Updates of the one to {use}; by default the newest.',
    lower_bound=0,
  )
