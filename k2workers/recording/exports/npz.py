"""Owns the file that numpy reads as one array of hftbacktest's events, ``data``: the header, and the archive around it. Written without numpy, and never whole in memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from typing import BinaryIO

_FIELDS = (
    ("ev", "<u8"),
    ("exch_ts", "<i8"),
    ("local_ts", "<i8"),
    ("px", "<f8"),
    ("qty", "<f8"),
    ("order_id", "<u8"),
    ("ival", "<i8"),
    ("fval", "<f8"),
)
_ALIGNED = 64


def write(file: BinaryIO, count: int, pieces: Iterable[bytes]) -> None:
    """An archive with that many events, given in pieces. Raises OSError."""
    member = zipfile.ZipInfo("data.npy")  # with no time, so that the same events give the same file
    member.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(file, "w") as archive, archive.open(member, "w", force_zip64=True) as array:
        array.write(_head(count))
        for piece in pieces:
            array.write(piece)


def _head(count: int) -> bytes:
    about = f"{{'descr': {list(_FIELDS)!r}, 'fortran_order': False, 'shape': ({count},), }}"
    begin = b"\x93NUMPY\x01\x00"
    length = -(-(len(begin) + 2 + len(about) + 1) // _ALIGNED) * _ALIGNED - len(begin) - 2
    return begin + length.to_bytes(2, "little") + about.ljust(length - 1).encode() + b"\n"
