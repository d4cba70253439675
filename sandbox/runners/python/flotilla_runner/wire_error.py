"""An exception as it travels: the user's own frames, in the user's own files."""

import os
import traceback
from typing import Any, Dict, List, Optional

from .tags import PayloadTooLargeError, SerializationError

_CAUSES_MAX = 8
# Longest name, message or stack; an error is read by people.
TEXT_CHARACTERS_MAX = 64 * 1024
_HERE = os.path.dirname(os.path.abspath(__file__))

WireError = Dict[str, Any]

_roots: List[str] = []


def name_files_from(root: str) -> None:
    """Files below this folder are told by their path within it, as the user knows them."""
    _roots.append(root.rstrip("/") + "/")


def wire_error_of(error: BaseException, depth: int = 0) -> WireError:
    """What is told of an exception; whatever it does when it is read, the answer is texts."""
    name = _shortened(_attempt(lambda: type(error).__name__))
    message = _shortened(_attempt(lambda: str(error)))
    wire: WireError = {"name": name, "message": message}
    stack = _attempt(lambda: _stack_of(error, f"{name}: {message}" if message else name))
    wire["stack"] = _shortened(stack)
    cause = _cause_of(error)
    if cause is not None and depth < _CAUSES_MAX:
        wire["cause"] = wire_error_of(cause, depth + 1)
    if isinstance(error, SerializationError):
        wire["code"] = "not_serializable"
    elif isinstance(error, PayloadTooLargeError):
        wire["code"] = "payload_too_large"
    return wire


def _cause_of(error: BaseException) -> Optional[BaseException]:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def _stack_of(error: BaseException, head: str) -> str:
    """Name and message first, as in JavaScript; then the traceback as Python prints it."""
    told = traceback.TracebackException(type(error), error, error.__traceback__)
    told.stack = traceback.StackSummary.from_list(
        [frame for frame in told.stack if not _is_ours(frame.filename)]
    )
    lines = [head]
    if len(told.stack) > 0:
        lines += ["Traceback (most recent call last):", *_lines(told.stack.format())]
    if isinstance(error, SyntaxError) or hasattr(error, "exceptions"):
        lines += _lines(told.format_exception_only())[:-1]
    for inner in list(getattr(error, "exceptions", ()))[:_CAUSES_MAX]:
        lines += ["", *("  " + line for line in _nested(inner).split("\n"))]
    text = "\n".join(lines)
    for root in _roots:
        text = text.replace(root, "")
    return text


def _nested(error: BaseException) -> str:
    return _stack_of(error, f"{type(error).__name__}: {error}")


def _is_ours(filename: str) -> bool:
    return filename.startswith((_HERE, "<frozen importlib"))


def _lines(parts: Any) -> List[str]:
    return "".join(parts).rstrip("\n").split("\n")


def _attempt(read: Any) -> str:
    try:
        value = read()
    except Exception:
        # The user's own __str__ failed.
        return "[it raises when it is read]"
    return value if isinstance(value, str) else repr(value)


def _shortened(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")[:TEXT_CHARACTERS_MAX]
