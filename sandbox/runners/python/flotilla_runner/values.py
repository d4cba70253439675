"""Values to bytes and back: arguments and results, as ``sdk/protocol/values.ts`` writes them.

What JSON carries without loss is JSON; all else is the tagged form.
"""

import json
from math import isfinite
from typing import Any, List, Sequence, Set

from . import tags
from .decode_tagged import Segment, decode_segments, decode_tagged, plain_number
from .encode_tagged import encode_tagged
from .tags import SerializationError

_JSON_MARK = bytes((tags.JSON_ENCODING,))


def encode_value(value: Any, label: str = "value") -> bytes:
    """The payload of a value.

    ``label`` is what the value is called in messages. Raises SerializationError such as
    ``result.model is a torch.Tensor, which cannot be sent``.
    """
    return b"".join(encode_segments(value, label))


def encode_segments(value: Any, label: str = "value") -> List[Any]:
    """The same payload in consecutive segments, so that nothing large is copied."""
    try:
        if _is_plain(value, set(), 0):
            return [_JSON_MARK, _json_of(value)]
        return encode_tagged(value, label)
    except RecursionError as error:
        raise SerializationError(f"{label} nests too deep to be sent") from error


def decode_value(data: Any) -> Any:
    """The value of a payload; SerializationError on bytes that ``encode_value`` never made."""
    try:
        if data[:1] == _JSON_MARK:
            return _of_json(bytes(data[1:]))
        if data[:1] == bytes((tags.TAGGED_ENCODING,)):
            return decode_tagged(data)
    except SerializationError:
        raise
    except (ValueError, RecursionError, OverflowError, MemoryError) as error:
        raise SerializationError(f"the payload is broken: {error}") from error
    if data[:1] == bytes((tags.REFERENCE_ENCODING,)):
        raise SerializationError("the payload is kept as blobs, which were not fetched")
    if len(data) == 0:
        raise SerializationError("the payload is empty")
    raise SerializationError(
        f"the payload's encoding {data[0]} is unknown; is one side of another version?"
    )


def is_reference(payload: Any) -> bool:
    """Whether a payload is the reference to a large one."""
    return bool(payload[:1] == bytes((tags.REFERENCE_ENCODING,)))


def decode_large(segments: Sequence[Segment]) -> Any:
    """The value of a large payload, whose segments are fetched as they are read."""
    first = bytearray(segments[0].size) if segments else bytearray()
    if segments:
        segments[0].fill(memoryview(first))
    if first[:1] != bytes((tags.TAGGED_ENCODING,)):
        for segment in segments[1:]:
            part = bytearray(segment.size)
            segment.fill(memoryview(part))
            first += part
        return decode_value(first)
    try:
        return decode_segments([first, *segments[1:]])
    except (ValueError, RecursionError, OverflowError, MemoryError) as error:
        if isinstance(error, SerializationError):
            raise
        raise SerializationError(f"the payload is broken: {error}") from error


def _json_of(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        # Half of a surrogate pair: JSON has an escape for it, UTF-8 has none.
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def _is_plain(value: Any, met: Set[int], depth: int) -> bool:
    """Whether JSON carries it without loss: exact types only, nothing shared, nothing deep."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return -tags.SAFE_INTEGER_MAX <= value <= tags.SAFE_INTEGER_MAX
    if kind is float:
        return isfinite(value) and (value != 0 or str(value)[0] != "-")
    if kind not in (list, dict) or depth >= tags.DEPTH_MAX or id(value) in met:
        return False
    met.add(id(value))
    # Loops and not `all`: calls through C have a stack of their own, and a shorter one.
    if kind is list:
        for item in value:
            if not _is_plain(item, met, depth + 1):
                return False
        return True
    for key, item in value.items():
        if type(key) is not str or not _is_plain(item, met, depth + 1):
            return False
    return True


def _of_json(data: bytes) -> Any:
    return json.loads(
        data.decode("utf-8"),
        parse_constant=_refuse_constant,
        parse_float=lambda text: plain_number(float(text)),
        parse_int=_whole_number,
    )


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _whole_number(text: str) -> Any:
    """JavaScript writes numbers up to 1e21 in full; those it cannot count by are floats."""
    return plain_number(float(text)) if len(text) > 15 else int(text)
