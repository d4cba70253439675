"""Frames: the one wire format of the platform, as ``sdk/protocol/frames.ts`` lays it out.

    u32 total   little endian, bytes that follow
    u32 header  little endian, bytes of the header
    header      UTF-8 JSON
    body        the rest: raw bytes, as the header says
"""

import json
import struct
from typing import Any, Dict, List, Sequence, Tuple, Union

FRAME_BYTES_MAX = 64 * 1024 * 1024
PAYLOAD_BYTES_MAX = 16 * 1024 * 1024

_PREFIX = struct.Struct("<II")

Header = Dict[str, Any]
Bytes = Union[bytes, bytearray, memoryview]


class FrameError(Exception):
    """The peer sent bytes that are no frame; the connection cannot be used any further."""


def encode_frame(header: Header, bodies: Sequence[Bytes] = ()) -> bytes:
    """The bytes of one frame. Cost: one copy of the bodies."""
    head = json.dumps(header, separators=(",", ":")).encode("ascii")
    total = 4 + len(head) + sum(len(body) for body in bodies)
    return b"".join((_PREFIX.pack(total, len(head)), head, *bodies))


def split_body(body: Bytes, sizes: Sequence[int]) -> List[memoryview]:
    """Cuts a body into the consecutive pieces whose sizes a header gave, without copying."""
    if any(size < 0 for size in sizes) or sum(sizes) != len(body):
        raise FrameError(f"pieces of {sum(sizes)} bytes are not a body of {len(body)}")
    view = memoryview(body)
    pieces = []
    offset = 0
    for size in sizes:
        pieces.append(view[offset : offset + size])
        offset += size
    return pieces


class FrameDecoder:
    """Turns a stream of bytes, cut anywhere, into frames."""

    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._buffered = bytearray()

    @property
    def missing_bytes(self) -> int:
        """How many bytes the unfinished frame still lacks at least; 8 before its prefix."""
        if len(self._buffered) < _PREFIX.size:
            return _PREFIX.size - len(self._buffered)
        total, _ = _PREFIX.unpack_from(self._buffered)
        return total + 4 - len(self._buffered)

    def push(self, chunk: Bytes) -> List[Tuple[Header, bytes]]:
        """The frames that ``chunk`` completes, in order."""
        self._buffered += chunk
        frames = []
        start = 0
        while len(self._buffered) - start >= _PREFIX.size:
            total, header_bytes = _PREFIX.unpack_from(self._buffered, start)
            if total > self._frame_bytes_max or header_bytes + 4 > total:
                raise FrameError(
                    f"a frame of {total} bytes with a header of {header_bytes} is refused"
                )
            end = start + 4 + total
            if len(self._buffered) < end:
                break
            frames.append(self._frame(start + _PREFIX.size, header_bytes, end))
            start = end
        if start > 0:
            del self._buffered[:start]
        return frames

    def _frame(self, start: int, header_bytes: int, end: int) -> Tuple[Header, bytes]:
        body_start = start + header_bytes
        try:
            header = json.loads(self._buffered[start:body_start].decode("utf-8"))
        except ValueError as error:
            raise FrameError("the header of a frame is not JSON") from error
        if not isinstance(header, dict):
            raise FrameError("the header of a frame is no object")
        return header, bytes(memoryview(self._buffered)[body_start:end])
