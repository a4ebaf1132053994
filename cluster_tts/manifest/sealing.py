"""A seal on a Parquet file: digests of all its bytes, in the gap that Parquet allows before its footer.

Parquet's own page checksums leave out page headers and the footer, and a flipped byte there reads as other rows. The
seal stands in bytes that no reader looks at, so DuckDB and the like open the file as ever.
"""

import struct
import zlib
from pathlib import Path

import pyarrow as pa

_SEAL = struct.Struct("<4sII")  # a mark, the CRC of what stands before it, the CRC of what stands behind it
_MARK = b"ctts"
_END = struct.Struct("<I4s")  # how Parquet ends: the size of the footer, "PAR1"
_BLOCK = 1 << 20


def seal(path: Path) -> None:
    """Put the seal on the complete Parquet file at ``path``, which nobody else sees yet."""
    with path.open("r+b") as file:
        file.seek(-_END.size, 2)
        footer_bytes, _ = _END.unpack(file.read(_END.size))
        body_end = file.seek(-_END.size - footer_bytes, 2)
        tail = file.read()
        file.seek(0)
        crc, left = 0, body_end
        while left:
            block = file.read(min(_BLOCK, left))
            crc, left = zlib.crc32(block, crc), left - len(block)
        file.seek(body_end)
        file.write(_SEAL.pack(_MARK, crc, zlib.crc32(tail)) + tail)


def check(source: pa.NativeFile, whole: bool) -> None:
    """Raise ``ArrowInvalid`` where the file is not what was sealed; one that never was is let through.

    The footer is always looked at, the rest (a read of the whole file) where ``whole`` asks for it.
    """
    size = source.size()
    if size < _END.size:
        raise pa.ArrowInvalid(f"it has {size} bytes")
    footer_bytes, magic = _END.unpack(source.read_at(_END.size, size - _END.size))
    start = size - _END.size - footer_bytes - _SEAL.size
    if magic != b"PAR1" or start < 0:
        raise pa.ArrowInvalid("it has no end, as if it had been cut")
    block = source.read_at(size - start, start)
    mark, body, footer = _SEAL.unpack(block[: _SEAL.size])
    if mark != _MARK:
        return
    if zlib.crc32(block[_SEAL.size :]) != footer or (whole and _crc(source, start) != body):
        raise pa.ArrowInvalid("its bytes are not those that were written")


def _crc(source: pa.NativeFile, end: int) -> int:
    crc = 0
    for start in range(0, end, _BLOCK):
        crc = zlib.crc32(source.read_at(min(_BLOCK, end - start), start), crc)
    return crc
