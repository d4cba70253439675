"""Functions that run before the first input, in the order in which they were defined."""

from typing import Any, Callable, List, NamedTuple, TypeVar

Hook = TypeVar("Hook", bound=Callable[..., Any])


class _Registered(NamedTuple):
    hook: Callable[..., Any]
    snapshot: bool


_registered: List[_Registered] = []


def register(hook: Hook, snapshot: bool) -> Hook:
    """Remembers a hook; used as a decorator."""
    if not callable(hook):
        raise TypeError("@flotilla.enter marks a function or a method")
    _registered.append(_Registered(hook, snapshot))
    return hook


def run_hooks(snapshot: bool, instance: Any = None) -> None:
    """Runs those of one kind; methods only where ``instance`` has them, functions always."""
    for hook, of_snapshot in _registered:
        if of_snapshot is not snapshot:
            continue
        owner, _, name = getattr(hook, "__qualname__", "").rpartition(".")
        if owner in ("", None) or owner.endswith("<locals>"):
            hook()
        elif getattr(type(instance), name, None) is hook:
            hook(instance)
