"""What a user's Python module may import inside a container.

    import flotilla

    @flotilla.enter
    def connect():
        ...        # once in every container, before its first input

    @flotilla.enter(snapshot=True)
    def load():
        ...        # before others are made as copies of this container
"""

from typing import Any, Callable, Optional, TypeVar

from flotilla_runner.hooks import ENTER as _ENTER
from flotilla_runner.hooks import EXIT as _EXIT
from flotilla_runner.hooks import SNAPSHOT as _SNAPSHOT
from flotilla_runner.hooks import register as _register
from flotilla_runner.js_values import ArrayBuffer, JsError, JsMap, RegExp, Url
from flotilla_runner.web_values import Request, Response
from flotilla_runner.volumes import Commit, Volume, VolumeError

__all__ = [
    "ArrayBuffer",
    "Commit",
    "JsError",
    "JsMap",
    "RegExp",
    "Request",
    "Response",
    "Url",
    "Volume",
    "VolumeError",
    "enter",
    "exit",
    "volume",
]

Hook = TypeVar("Hook", bound=Callable[..., Any])


def enter(hook: Optional[Hook] = None, *, snapshot: bool = False) -> Any:
    """Marks a function, or a method of the handler's class, to run before the first input.

    With ``snapshot=True`` it runs once and its effects are copied with the process; otherwise
    it runs in every container, after it was copied: the place for what must not be shared, such
    as connections and random state of one's own.
    """
    when = _SNAPSHOT if snapshot else _ENTER
    if hook is not None:
        return _register(hook, when)
    return lambda marked: _register(marked, when)


def exit(hook: Hook) -> Hook:
    """Marks a function or method to run when a container ends in peace: not when it fails."""
    return _register(hook, _EXIT)


def volume(name: str) -> Volume:
    """A volume that this function has, to commit and to reload while an input runs."""
    return Volume(name)
