"""The tagged encoding: everything of Python that JavaScript has a value for.

Lists, dicts, sets and other objects are numbered in the order in which they are first met, and
one met again is written as a reference, so shared ones stay shared and cycles end. What cannot
be changed in Python but can in JavaScript (bytes, tuples of plain values) is written again each
time: nothing becomes shared that was only equal.
"""

import dataclasses
import datetime
import enum
import re
import struct
import sys
import traceback
import types
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import tags
from .arrays import DTYPE_NAMES, UINT8_KIND, Block, block_of_buffer, block_of_numpy
from .js_values import ArrayBuffer, JsError, JsMap, RegExp, Url
from .paths import Segment, describe, format_path, key_segment
from .tags import SerializationError

_DOUBLE = struct.Struct("<d")
_INT32_MIN = -(2**31)
_INT32_MAX = 2**31 - 1
_SURROGATE = re.compile("[\ud800-\udfff]")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MS = datetime.timedelta(milliseconds=1)
_PLAIN = (type(None), bool, int, float, str)

# Types that have no value in JavaScript, and what to send instead.
_HINTS: Tuple[Tuple[Any, str], ...] = (
    (datetime.date, "send a datetime, or str() of it"),
    (datetime.time, "send str() of it"),
    (datetime.timedelta, "send its total_seconds()"),
    (enum.Enum, "send its .value"),
    (complex, "send its .real and .imag"),
    (range, "send list() of it"),
    (types.GeneratorType, "send list() of it"),
    (types.CoroutineType, "await it"),
    (type, "send an instance"),
)
# The same, of modules that are not imported for this.
_HINTS_BY_NAME = {
    "decimal.Decimal": "send str() or float() of it",
    "uuid.UUID": "send str() of it",
    "torch.Tensor": "send .numpy(force=True) of it",
    "pandas.core.frame.DataFrame": "send .to_dict('records') of it",
    "pandas.core.series.Series": "send .to_numpy() of it",
    "PIL.Image.Image": "send numpy.asarray() of it, or its encoded bytes",
}


# Bytes from this size on are a segment of their own.
_SEGMENT_BYTES_MIN = 256 * 1024
_SEGMENTS_MAX = 1_024


def encode_tagged(value: Any, label: str) -> List[Any]:
    """The payload of ``value`` in segments; SerializationError names the path below ``label``."""
    writer = _Writer(label)
    writer.write(value)
    segments: List[Any] = []
    small: List[Any] = []
    for part in writer.parts:
        if len(part) < _SEGMENT_BYTES_MIN or len(segments) >= _SEGMENTS_MAX - 2:
            small.append(part)
            continue
        segments += [b"".join(small), part]
        small = []
    return [*segments, b"".join(small)] if small else segments


class _Writer:
    def __init__(self, label: str) -> None:
        self.parts: List[Any] = [bytes((tags.TAGGED_ENCODING,))]
        self._label = label
        self._path: List[Segment] = []
        self._depth = 0
        self._count = 0
        # By identity; each is kept, so that no other takes its identity meanwhile.
        self._met: Dict[int, Tuple[int, Any]] = {}

    def failure(self, what: str) -> SerializationError:
        return SerializationError(f"{format_path(self._label, self._path)} {what}")

    def byte(self, value: int) -> None:
        self.parts.append(bytes((value,)))

    def varint(self, value: int) -> None:
        if value < 0x80:
            self.parts.append(bytes((value,)))
            return
        out = bytearray()
        while value >= 0x80:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
        self.parts.append(bytes(out))

    def raw(self, data: Any) -> None:
        self.varint(len(data))
        self.parts.append(data)

    def text(self, value: str) -> None:
        try:
            data = value.encode("utf-8")
            self.byte(tags.TEXT)
        except UnicodeEncodeError:
            data = value.encode("utf-16-le", "surrogatepass")
            self.byte(tags.TEXT16)
        self.raw(data)

    def write_at(self, segment: Segment, value: Any) -> None:
        self._path.append(segment)
        self.write(value)
        self._path.pop()

    def write(self, value: Any) -> None:
        if value is None:
            self.byte(tags.NULL)
        elif value is True:
            self.byte(tags.TRUE)
        elif value is False:
            self.byte(tags.FALSE)
        elif isinstance(value, Url):
            self._object(value)
        elif isinstance(value, str):
            self.text(str(value))
        elif isinstance(value, int):
            self._int(int(value))
        elif isinstance(value, float):
            self._float(float(value))
        else:
            scalar = _numpy_scalar(value)
            if scalar is None:
                self._object(value)
            else:
                self.write(scalar)

    def number(self) -> None:
        """Takes the next number, for an object that is never referred to."""
        self._count += 1

    def _int(self, value: int) -> None:
        if _INT32_MIN <= value <= _INT32_MAX:
            self.byte(tags.INT)
            self.varint(((value << 1) ^ (value >> 31)) & 0xFFFFFFFF)
        elif abs(value) <= tags.SAFE_INTEGER_MAX:
            self.parts.append(b"\x05" + _DOUBLE.pack(value))
        else:
            self.byte(tags.BIGINT)
            self.byte(1 if value < 0 else 0)
            self.text(format(abs(value), "x"))

    def _float(self, value: float) -> None:
        # Whole ones are written as JavaScript does it; -0.0 is none of them.
        if value.is_integer() and _INT32_MIN <= value <= _INT32_MAX:
            if value != 0 or str(value)[0] != "-":
                self._int(int(value))
                return
        self.parts.append(b"\x05" + _DOUBLE.pack(value))

    def _object(self, value: Any) -> None:
        met = self._met.get(id(value))
        if met is not None:
            self.byte(tags.REFERENCE)
            self.varint(met[0])
            return
        if self._depth >= tags.DEPTH_MAX:
            raise SerializationError(
                f"{self._label} nests deeper than {tags.DEPTH_MAX} levels, which cannot be sent"
            )
        write = _writer_of(value)
        if write is None:
            raise self._unknown(value)
        if _is_shared(value):
            self._met[id(value)] = (self._count, value)
        self.number()
        self._depth += 1
        write(self, value)
        self._depth -= 1

    def _unknown(self, value: Any) -> SerializationError:
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        hint = _HINTS_BY_NAME.get(name) or next(
            (text for kind, text in _HINTS if isinstance(value, kind)), None
        )
        hint = "send a dict of what it holds" if hint is None and not callable(value) else hint
        what = f"is a {describe(value)}, which cannot be sent"
        return self.failure(what if hint is None else f"{what}: {hint}")


def _numpy_scalar(value: Any) -> Any:
    """The Python value of one element of a numpy array; None for anything else."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.generic):
        return None
    item = value.item()
    return item if isinstance(item, (bool, int, float, str, bytes)) else None


def _is_shared(value: Any) -> bool:
    """Whether a second mention of the same object is a reference to the first."""
    if isinstance(value, tuple):
        return not all(type(item) in _PLAIN for item in value)
    return not isinstance(value, (bytes, str, datetime.datetime, frozenset))


def _write_array(writer: _Writer, items: Any) -> None:
    writer.byte(tags.ARRAY)
    writer.varint(len(items))
    for index, item in enumerate(items):
        writer.write_at(index, item)


def _write_dict(writer: _Writer, value: Dict[Any, Any]) -> None:
    if not all(isinstance(key, str) for key in value):
        _write_map(writer, value)
        return
    writer.byte(tags.OBJECT)
    writer.varint(len(value))
    for key, item in value.items():
        writer.text(str(key))
        writer.write_at(key_segment(key), item)


def _write_map(writer: _Writer, value: Dict[Any, Any]) -> None:
    writer.byte(tags.MAP)
    writer.varint(len(value))
    for position, (key, item) in enumerate(value.items()):
        writer.write_at(f"<key {position}>", key)
        short = isinstance(key, (str, int)) and not isinstance(key, bool)
        writer.write_at(f".get({key!r})" if short else f"<value {position}>", item)


def _write_set(writer: _Writer, value: Any) -> None:
    writer.byte(tags.SET)
    writer.varint(len(value))
    for position, item in enumerate(value):
        writer.write_at(f"<item {position}>", item)


def _write_bytes(writer: _Writer, value: Any) -> None:
    writer.byte(tags.VIEW)
    writer.byte(UINT8_KIND)
    writer.raw(bytes(value))


def _write_array_buffer(writer: _Writer, value: ArrayBuffer) -> None:
    writer.byte(tags.ARRAY_BUFFER)
    writer.raw(bytes(value))


def _write_block(writer: _Writer, block: Block) -> None:
    kind = block.kind
    if kind is not None:
        writer.byte(tags.VIEW)
        writer.byte(kind)
    else:
        writer.byte(tags.ND_ARRAY)
        writer.byte(DTYPE_NAMES.index(block.dtype))
        writer.varint(len(block.shape))
        for length in block.shape:
            writer.varint(length)
    writer.raw(block.data)


def _write_buffer(writer: _Writer, value: Any) -> None:
    try:
        block = block_of_buffer(value)
    except TypeError as error:
        raise writer.failure(str(error)) from None
    _write_block(writer, block)


def _write_numpy(writer: _Writer, value: Any) -> None:
    try:
        block = block_of_numpy(value)
    except TypeError as error:
        raise writer.failure(str(error)) from None
    _write_block(writer, block)


def _write_date(writer: _Writer, value: datetime.datetime) -> None:
    # A time without a zone is meant locally, as everywhere in Python.
    try:
        moment = value if value.tzinfo is not None else value.astimezone()
    except (OverflowError, ValueError):
        raise writer.failure(f"is {value!r} in no time zone, which cannot be sent") from None
    writer.byte(tags.DATE)
    writer.parts.append(_DOUBLE.pack((moment - _EPOCH) // _MS))


def _write_regexp(writer: _Writer, value: Any) -> None:
    if isinstance(value, re.Pattern):
        if not isinstance(value.pattern, str):
            raise writer.failure("is a pattern of bytes, which cannot be sent")
        value = RegExp.of(value)
    writer.byte(tags.REGEXP)
    writer.text(value.source)
    writer.text(value.flags)


def _write_url(writer: _Writer, value: Url) -> None:
    writer.byte(tags.URL)
    writer.text(str(value))


def _write_error(writer: _Writer, error: BaseException) -> None:
    is_js = isinstance(error, JsError)
    cause = error.cause if is_js else error.__cause__
    errors = error.errors if is_js else list(getattr(error, "exceptions", ())) or None
    stack = error.stack if is_js else _stack_of(error)
    writer.byte(tags.ERROR)
    writer.text(error.name if is_js else type(error).__name__)
    writer.text(error.message if is_js else str(error))
    if stack is None:
        writer.byte(tags.UNDEFINED)
    else:
        writer.text(stack)
    writer.byte(tags.FALSE if cause is None else tags.TRUE)
    if cause is not None:
        writer.write_at(".cause", cause)
    if errors is None:
        writer.byte(tags.UNDEFINED)
    else:
        writer.write_at(".errors", errors)


def _stack_of(error: BaseException) -> str:
    lines = traceback.format_exception(type(error), error, error.__traceback__, chain=False)
    return "".join(lines).rstrip("\n")


def _write_dataclass(writer: _Writer, value: Any) -> None:
    fields = dataclasses.fields(value)
    writer.byte(tags.OBJECT)
    writer.varint(len(fields))
    for field in fields:
        writer.text(field.name)
        writer.write_at(key_segment(field.name), getattr(value, field.name))


_WRITERS: Tuple[Tuple[Any, Callable[[_Writer, Any], None]], ...] = (
    (JsMap, _write_map),
    (dict, _write_dict),
    ((list, tuple), _write_array),
    ((set, frozenset), _write_set),
    (ArrayBuffer, _write_array_buffer),
    ((bytes, bytearray), _write_bytes),
    (Url, _write_url),
    ((RegExp, re.Pattern), _write_regexp),
    (datetime.datetime, _write_date),
    (BaseException, _write_error),
)


def _writer_of(value: Any) -> Optional[Callable[[_Writer, Any], None]]:
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _write_dataclass
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return _write_numpy
    array = sys.modules.get("array")
    if isinstance(value, memoryview) or (array and isinstance(value, array.array)):
        return _write_buffer
    return None
