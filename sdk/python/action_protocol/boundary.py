"""What the contract cannot carry and parsers do not survive: half characters, and JSON without a bottom.

Both come from remotes. JSON can spell half of a surrogate pair (`"\\ud800"`), which Python takes for a character
and UTF-8 does not have: a component that hands it to the service is ended on the spot. And a parser calls itself
for each level of nesting, of which a component has few.
"""

import copy
import dataclasses
import json
import re
from typing import Any

JSON_DEPTH_MAX = 128
"""How deep JSON may be nested: as deep as the service itself reads it."""

_HALVES = re.compile("[\ud800-\udfff]")
_STRINGS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS = re.compile(r"[^\[\]{}]+")


def whole(text: str) -> str:
    """A text that UTF-8 can hold: halves of characters are replaced."""
    return text if text.isascii() else _HALVES.sub("\ufffd", text)


def lowered(value: Any) -> Any:
    """A value of the contract whose texts are all whole. What is so already is given back as it is."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, list):
        return [lowered(one) for one in value]
    if isinstance(value, tuple):
        return tuple(lowered(one) for one in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        members = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        changed = {name: new for name, old in members.items() if (new := lowered(old)) is not old}
        if changed:
            value = copy.copy(value)
            for name, new in changed.items():
                setattr(value, name, new)
    return value


def parse_json(data: bytes | str) -> Any:
    """The value of a JSON document in UTF-8. Raises `ValueError` where it is none, or nested too deep.

    `NaN` and `Infinity`, which Python takes and JSON does not have, are refused.
    """
    text = data if isinstance(data, str) else data.removeprefix(b"\xef\xbb\xbf").decode()
    if _depth_over(text, JSON_DEPTH_MAX):
        raise ValueError(f"it is nested more than {JSON_DEPTH_MAX} deep")
    return json.loads(text, parse_constant=_refuse)


def to_json(value: Any) -> str:
    """A value as JSON that the service can read again."""
    return whole(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _depth_over(text: str, most: int) -> bool:
    """Whether brackets outside of strings are open so deep anywhere."""
    if text.count("[") + text.count("{") <= most:
        return False
    depth = 0
    for bracket in _NO_BRACKETS.sub("", _STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > most:
            return True
    return False
