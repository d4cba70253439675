"""Values of any size as payloads, and back: what is too large for a frame is kept as blobs."""

from typing import Any, Callable, List, NamedTuple, Sequence

from .frames import PAYLOAD_BYTES_MAX
from .large_values import LARGE_PAYLOAD_BYTES_MAX, LargeValues
from .tags import PayloadTooLargeError
from .values import decode_large, decode_value, encode_segments, is_reference


class Encoded(NamedTuple):
    """A payload, and the size of its value, which it may only name."""

    payload: bytes
    size: int


class Payloads:
    """The payloads of one container. Any thread may ask."""

    def __init__(self, large: LargeValues) -> None:
        self._large = large

    def arguments(self, payload: Any) -> List[Any]:
        """The arguments of an input; a large payload is waited for."""
        if is_reference(payload):
            arguments = decode_large(self._large.segments_of(payload))
        else:
            arguments = decode_value(payload)
        if not isinstance(arguments, list):
            raise TypeError("the input is not a list of arguments")
        return arguments

    async def arguments_async(self, payload: Any) -> List[Any]:
        """The same for an event loop: what is large is waited for in a thread."""
        if is_reference(payload):
            return await _aside(lambda: self.arguments(payload))
        return self.arguments(payload)

    def encode(self, value: Any, label: str) -> Encoded:
        """The payload of a value, called ``label`` in errors; a large one is kept meanwhile."""
        segments = encode_segments(value, label)
        if _size_of(segments) > PAYLOAD_BYTES_MAX:
            return self._kept(segments, label)
        return _joined(segments)

    async def encode_async(self, value: Any, label: str) -> Encoded:
        """The same for an event loop."""
        segments = encode_segments(value, label)
        if _size_of(segments) > PAYLOAD_BYTES_MAX:
            return await _aside(lambda: self._kept(segments, label))
        return _joined(segments)

    def _kept(self, segments: Sequence[Any], label: str) -> Encoded:
        size = _size_of(segments)
        if size > LARGE_PAYLOAD_BYTES_MAX:
            what = "the result" if label == "result" else label
            raise PayloadTooLargeError(
                f"{what} has {size} bytes, more than the {LARGE_PAYLOAD_BYTES_MAX} that one may have"
            )
        return Encoded(self._large.store(segments), size)


def _joined(segments: Sequence[Any]) -> Encoded:
    payload = b"".join(segments)
    return Encoded(payload, len(payload))


async def _aside(work: Callable[[], Any]) -> Any:
    """The result of work that blocks, done in a thread of its own."""
    import asyncio

    return await asyncio.get_running_loop().run_in_executor(None, work)


def _size_of(segments: Sequence[Any]) -> int:
    return sum(len(segment) for segment in segments)
