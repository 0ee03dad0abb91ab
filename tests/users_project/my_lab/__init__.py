"""A project of a user's, with a kind of each sort: see users_kinds_test.py."""
