"""Planners, one file for each kind: a function `plan`."""
