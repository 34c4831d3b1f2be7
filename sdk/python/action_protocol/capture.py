"""What comes in from outside, and where its reading stands.

Nothing given here is visible to anyone until the attempt succeeds or `checkpoint` returns; then
all of it is, at once, with the state that was set.
"""

from typing import Any

from componentize_py_types import Err
from wit_world.imports import capture as _capture

from . import schema
from .boundary import lowered, parse_json
from .failure import Advice, Failure, Internal, Rejected, Unavailable
from .payload import Payload


class CaptureError(Exception):
    """Something was not taken."""

    def __init__(self, message: str):
        super().__init__(message)
        self.message = message

    def failure(self) -> Failure:
        """What it means for an execution that does not go on without."""
        return Unavailable(self.message)


class TooLarge(CaptureError):
    """An item or value is over the limit, which the message names. A repeat would be too."""

    def failure(self) -> Failure:
        return Rejected(self.message, advice=Advice.GIVE_UP)


class NotAvailable(CaptureError):
    """The service cannot take it now."""


def emit(kind: str, content: Payload, *, key: str | None = None) -> None:
    """Captures a piece of information. `kind` is a short snake_case name.

    With a `key` it is captured once: what this action captured under it before is dropped.
    """
    _asked(_capture.emit, _capture.Item(key, kind, content))


def state(key: str) -> bytes | None:
    """What the action's own store holds under this name."""
    return _asked(_capture.get_state, key)


def set_state(key: str, value: bytes) -> None:
    """Puts bytes into the action's store."""
    _asked(_capture.set_state, key, value)


def delete_state(key: str) -> None:
    """Takes a name out of the action's store."""
    _asked(_capture.delete_state, key)


def state_json(key: str, kind: Any = Any) -> Any:
    """What `set_state_json` put under this name, as a type; `None` where there is nothing.

    State that does not fit was written by another version of the protocol, and this one has to read
    what its predecessors wrote: a defect of it.
    """
    found = state(key)
    if found is None:
        return None
    try:
        return schema.parse(kind, parse_json(found))
    except ValueError as error:
        raise Internal(f"the state {key} does not fit: {error}") from None


def set_state_json(key: str, value: Any) -> None:
    """Puts a value into the action's store, as JSON."""
    set_state(key, Payload.json(value).data)


def checkpoint() -> int:
    """Makes what was emitted and set so far durable. Says how many items were new."""
    return _asked(_capture.checkpoint)


def _asked(function, *arguments):
    try:
        return function(*lowered(arguments))
    except Err as error:
        kind = TooLarge if isinstance(error.value, _capture.CaptureError_TooLarge) else NotAvailable
        raise kind(error.value.value) from None
