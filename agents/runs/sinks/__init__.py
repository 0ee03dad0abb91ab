"""Where the figures of a run go beside its own files: one file a kind."""
