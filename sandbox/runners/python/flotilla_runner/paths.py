"""Where in a value something is, for messages such as ``result.rows[0] is a function``."""

import json
import re
from typing import Any, List, Union

Segment = Union[int, str]

_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*\Z", re.ASCII)


def key_segment(key: str) -> str:
    """The segment of a property, as a user would write it in JavaScript."""
    return f".{key}" if _IDENTIFIER.match(key) else f"[{json.dumps(key)}]"


def format_path(label: str, path: List[Segment]) -> str:
    """The path in code: ``result.rows["a b"][0]``."""
    parts = (part if isinstance(part, str) else f"[{part}]" for part in path)
    return label + "".join(parts)


def describe(value: Any) -> str:
    """What a value is, as its type is imported."""
    kind = type(value)
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__name__}"
