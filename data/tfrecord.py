"""Reads and writes files of TensorFlow's records, without TensorFlow.

A record is its length (8 bytes), a checksum of that (4), the data, and a
checksum of those (4). Checksums are CRC-32C, rotated and with a constant added.
"""

import functools
import os
import pathlib
import struct
from typing import BinaryIO

import numpy as np

from worldmodels.data import reading
from worldmodels.data import recordings
from worldmodels.data.recordings import RecordingError

_POLYNOMIAL = 0x82F63B78  # of Castagnoli, reflected
_BLOCK = 4096
_MASK = 0xA282EAD8
_HEADER = struct.Struct('<QI')


def crc32c(content: bytes) -> int:
  """Returns the CRC-32C of bytes.

  It is linear: what each byte of a block contributes is looked up and added,
  and a block moves the sum before it on by as many zeros as it is long.
  """
  table, by_place, moves = _tables()
  state = 0xFFFFFFFF
  whole = len(content) // _BLOCK * _BLOCK
  if whole:
    blocks = np.frombuffer(content, np.uint8, whole).reshape(-1, _BLOCK)
    begins = np.arange(0, by_place.size, 256)
    for block in blocks:
      found = by_place.ravel().take(begins + block)
      added = int(np.bitwise_xor.reduce(found))
      state = added ^ int(
        moves[0, state & 255]
        ^ moves[1, state >> 8 & 255]
        ^ moves[2, state >> 16 & 255]
        ^ moves[3, state >> 24]
      )
  steps = table.tolist()
  for byte in content[whole:]:
    state = steps[(state ^ byte) & 255] ^ state >> 8
  return state ^ 0xFFFFFFFF


def write(file: BinaryIO, content: bytes) -> None:
  """Appends a record to a file."""
  length = struct.pack('<Q', len(content))
  file.write(length + struct.pack('<I', _masked(length)))
  file.write(content + struct.pack('<I', _masked(content)))


def places(path: pathlib.Path) -> list[tuple[int, int]]:
  """Returns (offset, bytes) of the data of each record in a file.

  Raises:
    RecordingError: the file is damaged.
    OSError: it cannot be read.
  """
  found = []
  with reading.open_regular(path) as file:
    size, offset = reading.size(file), 0
    while offset < size:
      file.seek(offset)
      header = file.read(_HEADER.size)
      begin = offset + _HEADER.size
      if len(header) == _HEADER.size:
        length, checksum = _HEADER.unpack(header)
        end = begin + length + 4
        if _masked(header[:8]) == checksum and end <= size:
          found.append((begin, length))
          offset = end
          continue
      raise RecordingError(f'{path} is damaged at byte {offset}')
  return found


def read(path: pathlib.Path, offset: int, length: int) -> bytes:
  """Reads the data of a record, whose place is of `places`.

  Raises:
    RecordingError: they are damaged.
    OSError: they cannot be read.
  """
  recordings.check_size('it', length)
  with reading.open_regular(path) as file:
    file.seek(offset)
    content, checksum = file.read(length), file.read(4)
  if checksum != struct.pack('<I', _masked(content)):
    raise RecordingError(f'{os.path.basename(path)} is damaged there')
  return content


def _masked(content: bytes) -> int:
  value = crc32c(content)
  return ((value >> 15 | value << 17) + _MASK) & 0xFFFFFFFF


@functools.cache
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns what a byte, a byte at a place, and a state lead to.

  Returns:
    (by one step [256], by the place in a block [_BLOCK, 256], by a block of
    zeros, of each byte of a state [4, 256]), all uint32.
  """
  table = np.arange(256, dtype=np.uint32)
  for _ in range(8):
    table = np.where(table & 1, table >> 1 ^ np.uint32(_POLYNOMIAL), table >> 1)
  table = table.astype(np.uint32)

  def step(state: np.ndarray) -> np.ndarray:
    return table[state & 255] ^ state >> 8

  by_place = np.empty([_BLOCK, 256], np.uint32)
  by_place[-1] = table
  for place in range(_BLOCK - 2, -1, -1):
    by_place[place] = step(by_place[place + 1])
  moved = np.arange(256, dtype=np.uint32) << (8 * np.arange(4)[:, None])
  moved = moved.astype(np.uint32)
  for _ in range(_BLOCK):
    moved = step(moved)
  return table, by_place, moved
