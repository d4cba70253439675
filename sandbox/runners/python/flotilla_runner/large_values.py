"""Arguments and results that are too large for a frame, as ``sdk/protocol/large-payload.ts`` lays
them out: kept as blobs, whose chunks move by way of the agent, and named by a small payload.
"""

import json
import threading
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from . import tags
from .channel import Channel
from .decode_tagged import Segment, varint_at
from .frames import Bytes, Header
from .tags import SerializationError

LARGE_PAYLOAD_BYTES_MAX = 4 * 1024 * 1024 * 1024

_CHUNK_BYTES = 4 * 1024 * 1024
_CHUNK_BYTES_MIN = 1024 * 1024
_CHUNK_BYTES_MAX = 64 * 1024 * 1024
_SEGMENTS_MAX = 1_024
_HASH_BYTES = 32
_BLOBS = "/v1/blobs"
# How long a server that is away is asked again.
_RETRY_FOR_SECONDS = 60.0
_PAUSE_SECONDS = 0.25
# Chunks that are asked for ahead of the one that is read.
_AHEAD = 2


class _Answer:
    __slots__ = ("body", "status")

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body


class Requests:
    """Requests to the server, by way of the agent. Any thread may ask."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._changed = threading.Condition()
        self._last_id = 0
        self._answers: Dict[int, Optional[_Answer]] = {}
        # Reads one frame, where no thread of its own does that.
        self.pump: Optional[Callable[[], None]] = None

    def begin(self, method: str, path: str, body: Bytes = b"") -> int:
        """Sends one, and gives the number to wait for."""
        with self._changed:
            self._last_id += 1
            request_id = self._last_id
            self._answers[request_id] = None
        header: Header = {"type": "request", "requestId": request_id, "method": method}
        header["path"] = path
        if method == "POST":
            header["contentType"] = "application/octet-stream"
        self._channel.send(header, [body])
        return request_id

    def wait(self, request_id: int) -> _Answer:
        """The answer of that one; to be called once."""
        while True:
            with self._changed:
                answer = self._answers[request_id]
                if answer is not None:
                    del self._answers[request_id]
                    return answer
                if self.pump is None:
                    self._changed.wait()
                    continue
            self.pump()

    def receive(self, header: Header, body: bytes) -> None:
        """An answer came; one that nobody waits for is dropped."""
        with self._changed:
            if header["requestId"] in self._answers:
                self._answers[header["requestId"]] = _Answer(header["status"], body)
                self._changed.notify_all()


class _Chunk(NamedTuple):
    """Where a chunk is in its payload, and the request that is on its way for it."""

    path: str
    size: int
    request_id: int


class LargeValues:
    """The server's blobs, as the place of large payloads."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def store(self, segments: Sequence[Bytes]) -> bytes:
        """Keeps a payload as blobs; gives the reference to it."""
        sizes = [len(segment) for segment in segments]
        hashes = []
        for chunk in _chunks_of(segments):
            request_id = self._requests.begin("POST", _BLOBS, chunk)
            answer = self._settle("POST", _BLOBS, request_id, chunk)
            hashes.append(bytes.fromhex(json.loads(answer)["sha256"]))
        head = bytes((tags.REFERENCE_ENCODING,)) + _varint(_CHUNK_BYTES) + _varint(len(sizes))
        return head + b"".join(_varint(size) for size in sizes) + b"".join(hashes)

    def segments_of(self, reference: Any) -> List[Segment]:
        """The segments of the payload that a reference names: each comes as it is read."""
        chunk_bytes, sizes, hashes = _parse(reference)
        source = _Source(self, chunk_bytes, sum(sizes), hashes)
        return [Segment(size, source.read) for size in sizes]

    def begin(self, digest: bytes) -> Tuple[str, int]:
        """Asks for a chunk."""
        path = f"{_BLOBS}/{digest.hex()}"
        return path, self._requests.begin("GET", path)

    def end(self, path: str, request_id: int) -> bytes:
        """The chunk that was asked for."""
        return self._settle("GET", path, request_id, b"")

    def _settle(self, method: str, path: str, request_id: int, body: Bytes) -> bytes:
        until = time.monotonic() + _RETRY_FOR_SECONDS
        while True:
            answer = self._requests.wait(request_id)
            if 200 <= answer.status < 300:
                return answer.body
            may_come_back = answer.status >= 500 or answer.status == 429
            if not may_come_back or time.monotonic() > until:
                told = answer.body[:500].decode("utf-8", "replace")
                raise OSError(f"moving a part of a large value failed: {answer.status} {told}")
            time.sleep(_PAUSE_SECONDS)
            request_id = self._requests.begin(method, path, body)


class _Source:
    """Reads a payload from its beginning to its end, a few chunks ahead."""

    def __init__(
        self, store: LargeValues, chunk_bytes: int, total_bytes: int, hashes: List[bytes]
    ) -> None:
        self._store = store
        self._chunk_bytes = chunk_bytes
        self._left_bytes = total_bytes
        self._hashes = hashes
        self._asked: List[_Chunk] = []
        self._next = 0
        self._rest = memoryview(b"")

    def read(self, into: memoryview) -> None:
        """Fills ``into`` with what comes next."""
        offset = 0
        while offset < len(into):
            if len(self._rest) == 0:
                self._rest = memoryview(self._chunk())
            part = self._rest[: len(into) - offset]
            into[offset : offset + len(part)] = part
            self._rest = self._rest[len(part) :]
            offset += len(part)

    def _chunk(self) -> bytes:
        while self._next < len(self._hashes) and len(self._asked) <= _AHEAD:
            path, request_id = self._store.begin(self._hashes[self._next])
            size = min(self._chunk_bytes, self._left_bytes)
            self._left_bytes -= size
            self._asked.append(_Chunk(path, size, request_id))
            self._next += 1
        chunk = self._asked.pop(0)
        data = self._store.end(chunk.path, chunk.request_id)
        if len(data) != chunk.size:
            raise _broken(f"a chunk has {len(data)} bytes instead of {chunk.size}")
        return data


def _chunks_of(segments: Sequence[Bytes]) -> Any:
    gathered = bytearray()
    for segment in segments:
        view = memoryview(segment).cast("B")
        while len(view) > 0:
            part = view[: _CHUNK_BYTES - len(gathered)]
            gathered += part
            view = view[len(part) :]
            if len(gathered) == _CHUNK_BYTES:
                yield gathered
                gathered = bytearray()
    if gathered:
        yield gathered


def _parse(reference: Any) -> Tuple[int, List[int], List[bytes]]:
    data = bytes(reference)
    chunk_bytes, offset = varint_at(data, 1)
    count, offset = varint_at(data, offset)
    if not _CHUNK_BYTES_MIN <= chunk_bytes <= _CHUNK_BYTES_MAX or count > _SEGMENTS_MAX:
        raise _broken(f"it has chunks of {chunk_bytes} bytes and {count} segments")
    sizes = []
    for _ in range(count):
        size, offset = varint_at(data, offset)
        sizes.append(size)
    total = sum(sizes)
    if total > LARGE_PAYLOAD_BYTES_MAX:
        raise _broken(f"it has {total} bytes")
    if len(data) - offset != -(-total // chunk_bytes) * _HASH_BYTES:
        raise _broken(f"it names {(len(data) - offset) / _HASH_BYTES} chunks for {total} bytes")
    hashes = [data[at : at + _HASH_BYTES] for at in range(offset, len(data), _HASH_BYTES)]
    return chunk_bytes, sizes, hashes


def _broken(how: str) -> SerializationError:
    return SerializationError(f"the reference to a large payload is broken: {how}")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
