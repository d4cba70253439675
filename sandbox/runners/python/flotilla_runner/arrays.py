"""Arrays of numbers: numpy's where it is installed, else the standard library's.

A typed array of one dimension is a ``numpy.ndarray`` or an ``array.array``; one with a shape is
a ``numpy.ndarray`` or a ``memoryview``, which has a shape too.
"""

import array
import importlib.util
import sys
from math import prod
from typing import Any, Optional, Sequence, Tuple, Union

# Element types by their byte on the wire: numpy's name, and the code of `array` and `struct`.
DTYPES: Tuple[Tuple[str, Optional[str]], ...] = (
    ("bool", "?"),
    ("int8", "b"),
    ("uint8", "B"),
    ("int16", "h"),
    ("uint16", "H"),
    ("int32", "i"),
    ("uint32", "I"),
    ("int64", "q"),
    ("uint64", "Q"),
    ("float16", None),
    ("float32", "f"),
    ("float64", "d"),
    ("complex64", None),
    ("complex128", None),
)
DTYPE_NAMES = tuple(name for name, _ in DTYPES)
_CODES = {name: code for name, code in DTYPES}

# Typed arrays by their kind byte; the first, third and DataView are plain bytes.
VIEWS = (
    *("bytes", "int8", "bytes", "int16", "uint16", "int32", "uint32"),
    *("float32", "float64", "int64", "uint64", "bytes", "float16"),
)
_KINDS = {dtype: kind for kind, dtype in enumerate(VIEWS) if dtype != "bytes"}
UINT8_KIND = 0

_has_numpy: Optional[bool] = None


def numpy_or_none() -> Any:
    """numpy where it is installed; imported at the first array and not before."""
    global _has_numpy
    if "numpy" in sys.modules:
        return sys.modules["numpy"]
    if _has_numpy is None:
        _has_numpy = importlib.util.find_spec("numpy") is not None
    if not _has_numpy:
        return None
    import numpy  # type: ignore[import-not-found, unused-ignore]

    return numpy


def view_of(dtype: str, data: Union[bytes, bytearray]) -> Any:
    """The array of a typed array's bytes; raises ValueError when they are no whole number."""
    numpy = numpy_or_none()
    if numpy is not None:
        return _own(numpy.frombuffer(data, dtype=dtype))
    code = _CODES[dtype]
    if code is None:
        raise ValueError(f"an array of {dtype} needs numpy, which is not installed here")
    values = array.array(code)
    values.frombytes(data)
    return values


def nd_array_of(dtype: str, shape: Sequence[int], data: Union[bytes, bytearray]) -> Any:
    """The array of these elements; raises ValueError when they do not fit the shape."""
    numpy = numpy_or_none()
    if numpy is not None:
        return _own(numpy.frombuffer(data, dtype=dtype).reshape(shape))
    code = _CODES[dtype]
    if code is None:
        raise ValueError(f"an array of {dtype} needs numpy, which is not installed here")
    flat = memoryview(bytearray(data)).cast(code)
    if len(flat) != prod(shape):
        raise ValueError(f"{len(flat)} elements do not fit the shape {tuple(shape)}")
    if prod(shape) == 0 or len(shape) == 1:
        return flat
    return flat.cast("B").cast(code, list(shape))


def _own(array_of_buffer: Any) -> Any:
    """An array that may be written to: over a ``bytearray`` it is one, over ``bytes`` a copy."""
    return array_of_buffer if array_of_buffer.flags.writeable else array_of_buffer.copy()


class Block:
    """The elements of an array in C order, little endian, and what they are."""

    __slots__ = ("data", "dtype", "shape")

    def __init__(self, dtype: str, shape: Tuple[int, ...], data: memoryview) -> None:
        self.dtype = dtype
        self.shape = shape
        self.data = data

    @property
    def kind(self) -> Optional[int]:
        """The kind byte where it is a typed array: one dimension, of a type that has one."""
        if len(self.shape) != 1:
            return None
        return UINT8_KIND if self.dtype == "uint8" else _KINDS.get(self.dtype)


def block_of_numpy(value: Any) -> Block:
    """The elements of a ``numpy.ndarray``; raises TypeError for what numbers do not carry."""
    numpy = sys.modules["numpy"]
    name = value.dtype.name
    if name not in _CODES:
        raise TypeError(
            f"is an ndarray of {value.dtype}, which cannot be sent: "
            "convert it with .astype() or .tolist()"
        )
    little = value.astype(value.dtype.newbyteorder("<"), copy=False)
    flat = numpy.ascontiguousarray(little).reshape(-1)
    return Block(name, tuple(value.shape), memoryview(flat.view("uint8")))


def block_of_buffer(value: Any) -> Block:
    """The elements of an ``array.array`` or a ``memoryview``; raises TypeError likewise."""
    view = memoryview(value)
    dtype = _dtype_of_format(view.format, view.itemsize)
    if dtype is None or sys.byteorder != "little":
        raise TypeError(f"is a buffer of format {view.format!r}, which cannot be sent")
    shape = tuple(view.shape or ())
    return Block(dtype, shape, memoryview(view.tobytes()))


def _dtype_of_format(code: str, item_bytes: int) -> Optional[str]:
    plain = code.lstrip("@=<")
    if plain == "c":
        return "uint8"
    # `l` and `L` have 4 or 8 bytes, as the machine likes it.
    sized = {"l": f"int{item_bytes * 8}", "L": f"uint{item_bytes * 8}", "e": "float16"}
    if plain in sized:
        return sized[plain]
    return next((name for name, known in DTYPES if known == plain), None)
