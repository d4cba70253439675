"""The bytes that say what follows; the wire format of ``sdk/protocol/values/tags.ts``."""

JSON_ENCODING = 1
TAGGED_ENCODING = 2
# A payload that is kept as blobs: see ``large_values.py``.
REFERENCE_ENCODING = 3

# How deep values may nest, both ways.
DEPTH_MAX = 1_000

NULL = 0
UNDEFINED = 1
TRUE = 2
FALSE = 3
INT = 4
DOUBLE = 5
TEXT = 6
TEXT16 = 7
BIGINT = 8
DATE = 9
REGEXP = 10
ARRAY = 11
SPARSE_ARRAY = 12
OBJECT = 13
MAP = 14
SET = 15
ARRAY_BUFFER = 16
VIEW = 17
ERROR = 18
REFERENCE = 19
BOXED = 20
URL = 21
ND_ARRAY = 22

# Whole numbers that a JavaScript number holds exactly; larger ones travel as big integers.
SAFE_INTEGER_MAX = 2**53 - 1


class SerializationError(Exception):
    """A value cannot be sent, or bytes are no value. The message names the path within it."""


class PayloadTooLargeError(Exception):
    """A result is larger than one may be."""
