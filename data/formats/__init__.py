"""Formats of recorded episodes: one file each, with what it can do of these.

  recognizes(path) -> bool           whether a path looks like it
  read(path, image) -> Recordings    finds the episodes there
  write(folder, recorded)            writes episodes into an empty folder

A format of the user's is `module:name`, the name of one of the two functions.
"""
