"""Values of JavaScript that Python has no type of its own for.

Each behaves as the nearest Python type and goes back to JavaScript as what it was.
"""

import re
from typing import Any, List, Optional


class JsMap(dict):  # type: ignore[type-arg]
    """A ``Map``: a dict whose keys may be of any kind, and which stays a ``Map``."""


class ArrayBuffer(bytes):
    """An ``ArrayBuffer``; plain ``bytes`` are a ``Uint8Array``."""


class Url(str):
    """A ``URL``, as its text."""


class RegExp:
    """A ``RegExp``: its source and flags as JavaScript writes them."""

    _FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}

    def __init__(self, source: str, flags: str = "") -> None:
        self.source = source
        self.flags = flags

    def compile(self) -> "re.Pattern[str]":
        """The pattern for ``re``; raises ``re.error`` where Python's syntax differs."""
        flags = 0
        for name, flag in self._FLAGS.items():
            flags |= flag if name in self.flags else 0
        return re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", self.source), flags)

    @classmethod
    def of(cls, pattern: "re.Pattern[str]") -> "RegExp":
        """The same for JavaScript; named groups are spelled as it spells them."""
        flags = "".join(name for name, flag in cls._FLAGS.items() if pattern.flags & flag)
        return cls(pattern.pattern.replace("(?P<", "(?<"), flags)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RegExp) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        return f"/{self.source}/{self.flags}"


class JsError(Exception):
    """An ``Error``, as a value; it can be raised too."""

    def __init__(
        self,
        name: str,
        message: str,
        stack: Optional[str] = None,
        cause: Any = None,
        errors: Optional[List[Any]] = None,
    ) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.stack = stack
        self.cause = cause
        self.errors = errors
