"""Runs pytest on the files named: the main program of every Bazel py_test.

Run as a script, a file of pytest functions would pass without running one.
"""

import sys

import pytest

if __name__ == '__main__':
  sys.exit(pytest.main(['-p', 'no:cacheprovider', *sys.argv[1:]]))
