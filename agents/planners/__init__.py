"""Planners, one file each; see agents/planning.py."""
