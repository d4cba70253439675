"""Functions that run before the first input and after the last, in the order of definition."""

import inspect
from typing import Any, Callable, List, NamedTuple, TypeVar

Hook = TypeVar("Hook", bound=Callable[..., Any])

# When a hook runs: before copies of the process are made, in each copy, when one ends.
SNAPSHOT = "snapshot"
ENTER = "enter"
EXIT = "exit"


class _Registered(NamedTuple):
    hook: Callable[..., Any]
    when: str


_registered: List[_Registered] = []


def register(hook: Hook, when: str) -> Hook:
    """Remembers a hook; used as a decorator."""
    if not callable(hook) or inspect.iscoroutinefunction(hook):
        raise TypeError(f"@flotilla.{EXIT if when == EXIT else ENTER} marks a plain function")
    _registered.append(_Registered(hook, when))
    return hook


def hooks_of(when: str, instance: Any = None) -> List[Callable[[], Any]]:
    """Those of one kind, ready to be called; methods only where ``instance`` has them."""
    found: List[Callable[[], Any]] = []
    for hook, own_when in _registered:
        if own_when != when:
            continue
        owner, _, name = getattr(hook, "__qualname__", "").rpartition(".")
        if owner == "" or owner.endswith("<locals>"):
            found.append(hook)
        elif getattr(type(instance), name, None) is hook:
            found.append(getattr(instance, name))
    return found


def run_hooks(when: str, instance: Any = None) -> None:
    """Runs those of one kind; the first that raises ends it."""
    for hook in hooks_of(when, instance):
        hook()
