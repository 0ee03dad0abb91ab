"""Tasks of our own: one file each, `load(seed) -> dm_env.Environment`."""
