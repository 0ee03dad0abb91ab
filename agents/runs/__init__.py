"""Runs: loop, checkpoints, figures, films."""
