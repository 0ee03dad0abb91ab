"""Learners of behavior, one file for each kind: class `Learner`."""
