"""Reads what ``encodeTagged`` wrote. Bytes are not trusted: counts are checked against what is
left, depth is bounded, and nothing of the payload is called.
"""

import datetime
import struct
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple, Union

from . import tags
from .arrays import DTYPE_NAMES, VIEWS, nd_array_of, view_of
from .js_values import ArrayBuffer, JsError, JsMap, RegExp, Url
from .paths import describe
from .tags import SerializationError

_DOUBLE = struct.Struct("<d")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_DIMENSIONS_MAX = 64


class Segment(NamedTuple):
    """A part of a payload that is not here yet: its size, and what fills a buffer with it."""

    size: int
    fill: Callable[[memoryview], None]


def decode_tagged(data: Any) -> Any:
    """The value behind the encoding byte; SerializationError on bytes that are no value."""
    return decode_segments([data])


def decode_segments(segments: Sequence[Any]) -> Any:
    """The same, of a payload in consecutive segments; a ``Segment`` is fetched when it is read.

    A block of bytes that is all of a segment is not copied.
    """
    reader = _Reader(segments)
    value = reader.read()
    if reader.remaining > 0:
        raise SerializationError(f"the payload goes on for {reader.remaining} bytes")
    return value


def varint_at(data: Any, offset: int) -> Tuple[int, int]:
    """The whole number at ``offset``, and where it ends."""
    value = 0
    for shift in range(0, 50, 7):
        if offset >= len(data):
            raise SerializationError("the payload is cut short")
        part = data[offset]
        offset += 1
        value |= (part & 0x7F) << shift
        if part < 0x80 and value <= tags.SAFE_INTEGER_MAX:
            return value, offset
    raise SerializationError("the payload has a number that is too large")


class _Reader:
    def __init__(self, segments: Sequence[Any]) -> None:
        self._segments = list(segments[1:])
        self._data = memoryview(_whole_of(segments[0]))
        self._offset = 1
        self._later_bytes = sum(map(_size_of, self._segments))
        self._objects: List[Any] = []
        self._depth = 0

    @property
    def remaining(self) -> int:
        return len(self._data) - self._offset + self._later_bytes

    def read(self) -> Any:
        tag = self.byte()
        read = _READERS.get(tag)
        if read is None:
            raise SerializationError(f"the payload has the unknown tag {tag}")
        self._depth += 1
        if self._depth > tags.DEPTH_MAX + 2:
            raise SerializationError(f"the payload nests deeper than {tags.DEPTH_MAX} levels")
        value = read(self)
        self._depth -= 1
        return value

    def byte(self) -> int:
        if self._offset >= len(self._data):
            self._next_segment()
        if self._offset >= len(self._data):
            raise self._cut_short()
        value = self._data[self._offset]
        self._offset += 1
        return value

    def double(self) -> float:
        value: float = _DOUBLE.unpack(self._span(8))[0]
        return value

    def varint(self) -> int:
        if self._offset >= len(self._data):
            self._next_segment()
        value, self._offset = varint_at(self._data, self._offset)
        return value

    def count(self, bytes_each: int = 1) -> int:
        count = self.varint()
        if count * bytes_each > self.remaining:
            raise self._cut_short()
        return count

    def raw(self) -> bytes:
        """A byte count and the bytes."""
        return bytes(self.buffer())

    def buffer(self) -> Union[bytes, bytearray]:
        """The same; a buffer that is nobody else's may be a ``bytearray``."""
        size = self.varint()
        is_segment = (
            self._offset == len(self._data)
            and len(self._segments) > 0
            and isinstance(self._segments[0], Segment)
            and self._segments[0].size == size
        )
        if not is_segment:
            return bytes(self._span(size))
        self._later_bytes -= size
        return _whole_of(self._segments.pop(0))

    def text(self) -> str:
        tag = self.byte()
        if tag == tags.TEXT:
            return _text(self)
        if tag == tags.TEXT16:
            return _text16(self)
        raise SerializationError(f"the payload has tag {tag} where a text should be")

    def register(self, value: Any) -> Any:
        """Gives an object its number; to be called before its parts are read."""
        self._objects.append(value)
        return value

    def reserve(self) -> int:
        """A number for an object that is made after its parts are read."""
        self._objects.append(_Unfinished)
        return len(self._objects) - 1

    def finish(self, number: int, value: Any) -> Any:
        self._objects[number] = value
        return value

    def referenced(self) -> Any:
        number = self.varint()
        if number >= len(self._objects):
            raise SerializationError(f"the payload refers to object {number}, which is not there")
        return self._objects[number]

    def _span(self, byte_count: int) -> memoryview:
        if self._offset >= len(self._data) and byte_count > 0:
            self._next_segment()
        if byte_count > len(self._data) - self._offset:
            raise self._cut_short()
        start = self._offset
        self._offset += byte_count
        return self._data[start : self._offset]

    def _next_segment(self) -> None:
        if self._segments:
            self._data = memoryview(_whole_of(self._segments.pop(0)))
            self._offset = 0
            self._later_bytes -= len(self._data)

    @staticmethod
    def _cut_short() -> SerializationError:
        return SerializationError("the payload is cut short")


def _whole_of(segment: Any) -> Any:
    if not isinstance(segment, Segment):
        return segment
    data = bytearray(segment.size)
    segment.fill(memoryview(data))
    return data


def _size_of(segment: Any) -> int:
    return segment.size if isinstance(segment, Segment) else len(segment)


class _Unfinished:
    """Stands for an object whose parts are being read."""


def plain_number(value: float) -> Any:
    """A number of JavaScript: whole ones are ints, as they are in JSON."""
    if value.is_integer() and abs(value) <= tags.SAFE_INTEGER_MAX:
        if value != 0 or str(value)[0] != "-":
            return int(value)
    return value


def _text(reader: _Reader) -> str:
    return str(reader.raw(), "utf-8")


def _text16(reader: _Reader) -> str:
    data = reader.raw()
    if len(data) % 2 == 1:
        raise SerializationError("the payload has half a character")
    return data.decode("utf-16-le", "surrogatepass")


def _int(reader: _Reader) -> int:
    coded = reader.varint()
    return (coded >> 1) ^ -(coded & 1)


def _bigint(reader: _Reader) -> int:
    negative = reader.byte() == 1
    magnitude = int(reader.text(), 16)
    return -magnitude if negative else magnitude


def _date(reader: _Reader) -> datetime.datetime:
    milliseconds = reader.double()
    try:
        value = _EPOCH + datetime.timedelta(milliseconds=milliseconds)
    except (OverflowError, ValueError) as error:
        raise SerializationError(
            f"a Date of {milliseconds} ms is invalid or outside Python's years 1 to 9999"
        ) from error
    reader.register(value)
    return value


def _regexp(reader: _Reader) -> RegExp:
    number = reader.reserve()
    source = reader.text()
    pattern: RegExp = reader.finish(number, RegExp(source, reader.text()))
    return pattern


def _array(reader: _Reader) -> List[Any]:
    length = reader.count()
    items: List[Any] = reader.register([])
    for _ in range(length):
        items.append(reader.read())
    return items


def _sparse_array(reader: _Reader) -> List[Any]:
    """Holes are None. The length is bounded, because they cost a sender nothing."""
    length = reader.varint()
    count = reader.count(2)
    if length > 10_000_000:
        raise SerializationError(f"a sparse array of {length} is too long for a list")
    items: List[Any] = reader.register([None] * length)
    for _ in range(count):
        index = reader.varint()
        if index >= length:
            raise SerializationError(f"index {index} of {length} is too large")
        items[index] = reader.read()
    return items


def _object(reader: _Reader) -> Dict[str, Any]:
    count = reader.count(3)
    value: Dict[str, Any] = reader.register({})
    for _ in range(count):
        key = reader.text()
        value[key] = reader.read()
    return value


def _map(reader: _Reader) -> JsMap:
    count = reader.count(2)
    value: JsMap = reader.register(JsMap())
    for position in range(count):
        key = reader.read()
        item = reader.read()
        _add(lambda: value.__setitem__(key, item), key, "Map")
        if len(value) != position + 1:
            raise SerializationError(
                f"a Map has the key {key!r} and another that equals it in Python"
            )
    return value


def _set(reader: _Reader) -> Any:
    count = reader.count()
    value: Any = reader.register(set())
    for position in range(count):
        item = reader.read()
        _add(lambda: value.add(item), item, "Set")
        if len(value) != position + 1:
            raise SerializationError(
                f"a Set has {item!r} and another item that equals it in Python"
            )
    return value


def _add(add: Callable[[], None], key: Any, where: str) -> None:
    try:
        add()
    except TypeError:
        raise SerializationError(
            f"a {where} holds a {describe(key)} where Python wants something hashable: "
            "send pairs in an array instead"
        ) from None


def _array_buffer(reader: _Reader) -> ArrayBuffer:
    value: ArrayBuffer = reader.register(ArrayBuffer(reader.raw()))
    return value


def _view(reader: _Reader) -> Any:
    kind = reader.byte()
    data = reader.buffer()
    if kind >= len(VIEWS):
        raise SerializationError(f"the payload has a view {kind} that this runtime lacks")
    if VIEWS[kind] == "bytes":
        return reader.register(bytes(data))
    try:
        return reader.register(view_of(VIEWS[kind], data))
    except ValueError as error:
        raise SerializationError(f"a typed array of {len(data)} bytes: {error}") from error


def _nd_array(reader: _Reader) -> Any:
    kind = reader.byte()
    dimensions = reader.count()
    if kind >= len(DTYPE_NAMES) or dimensions > _DIMENSIONS_MAX:
        raise SerializationError(f"the payload has an array of type {kind}, {dimensions} deep")
    shape = [reader.varint() for _ in range(dimensions)]
    data = reader.buffer()
    try:
        return reader.register(nd_array_of(DTYPE_NAMES[kind], shape, data))
    except (ValueError, TypeError, OverflowError) as error:
        raise SerializationError(f"an NdArray of {len(data)} bytes: {error}") from error


def _error(reader: _Reader) -> JsError:
    error = JsError(reader.text(), reader.text())
    reader.register(error)
    stack = reader.read()
    error.stack = stack if isinstance(stack, str) else None
    if reader.read() is True:
        error.cause = reader.read()
    errors = reader.read()
    error.errors = errors if isinstance(errors, list) else None
    return error


def _boxed(reader: _Reader) -> Any:
    """Wrapper objects are what they wrap."""
    value = reader.read()
    if not isinstance(value, (bool, int, float, str)):
        raise SerializationError("the payload has a wrapper of no primitive value")
    return reader.register(value)


def _referenced(reader: _Reader) -> Any:
    value = reader.referenced()
    if value is _Unfinished:
        raise SerializationError("the payload refers to an object within itself")
    return value


_READERS: Dict[int, Callable[[_Reader], Any]] = {
    tags.NULL: lambda _: None,
    tags.UNDEFINED: lambda _: None,
    tags.TRUE: lambda _: True,
    tags.FALSE: lambda _: False,
    tags.INT: _int,
    tags.DOUBLE: lambda reader: plain_number(reader.double()),
    tags.TEXT: _text,
    tags.TEXT16: _text16,
    tags.BIGINT: _bigint,
    tags.DATE: _date,
    tags.REGEXP: _regexp,
    tags.ARRAY: _array,
    tags.SPARSE_ARRAY: _sparse_array,
    tags.OBJECT: _object,
    tags.MAP: _map,
    tags.SET: _set,
    tags.ARRAY_BUFFER: _array_buffer,
    tags.VIEW: _view,
    tags.ERROR: _error,
    tags.REFERENCE: _referenced,
    tags.BOXED: _boxed,
    tags.URL: lambda reader: reader.register(Url(reader.text())),
    tags.ND_ARRAY: _nd_array,
}
