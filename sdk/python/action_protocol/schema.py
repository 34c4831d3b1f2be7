"""Makes a JSON Schema of a type, and a value of that type of JSON: both from the same description.

What types there are: `str`, `int`, `float`, `bool`, `None`, `Any`, `Secret`, `Literal`, enumerations
with text values, `list[T]`, `dict[str, T]`, unions, and dataclasses of these. `Annotated` adds what
`types` has.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any, Literal

from .secrets import Secret

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def of(kind: Any) -> dict:
    """The JSON Schema (2020-12) of a type.

    Raises `TypeError` for a type that JSON has no form of: at build time, since that is when a
    protocol's config is looked at first.
    """
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_schema(kind)}


def _schema(kind: Any) -> dict:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        words = dict(_schema(arguments[0]))
        for word in arguments[1:]:
            # A list takes no minLength, a text no minItems.
            unfit = ("minItems", "maxItems") if words.get("type") == "string" else ("minLength", "maxLength")
            words.update({key: value for key, value in word.schema().items() if key not in unfit})
        return words
    if kind is Any:
        return {}
    if kind is Secret:
        return {"type": "string", "writeOnly": True}
    if kind in _SCALARS:
        return {"type": _SCALARS[kind]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0])}
    if origin is dict and arguments[0] is str:
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    if origin in (typing.Union, types.UnionType):
        # A property that may be left out is `T | None`; JSON then has no need of null.
        present = [argument for argument in arguments if argument is not type(None)]
        return _schema(present[0]) if len(present) == 1 else {"anyOf": [_schema(argument) for argument in present]}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    if dataclasses.is_dataclass(kind):
        return _object(kind)
    raise TypeError(f"{kind!r} has no form in JSON")


def _object(kind: Any) -> dict:
    hints = typing.get_type_hints(kind, include_extras=True)
    properties, required = {}, []
    for field in dataclasses.fields(kind):
        schema = _schema(hints[field.name])
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            required.append(field.name)
        elif field.default not in (None, dataclasses.MISSING):
            schema = {**schema, "default": plain(field.default)}
        properties[field.name] = schema
    described = {"description": kind.__doc__} if has_doc(kind) else {}
    return {"type": "object", **described, "properties": properties, "required": required, "additionalProperties": False}


def has_doc(kind: Any) -> bool:
    """Whether somebody wrote a docstring: a dataclass without one gets its signature."""
    return bool(kind.__doc__) and not kind.__doc__.startswith(f"{kind.__name__}(")


def plain(value: Any) -> Any:
    """A value as JSON has it: dataclasses become objects, enumerations their values, what is no number `None`."""
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: plain(member) for name, member in pairs}
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain(member) for member in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@dataclasses.dataclass(frozen=True)
class Wrong:
    """Something about a value that does not fit its type: where, which rule, and in words."""

    pointer: str
    code: str
    message: str


class DoesNotFit(ValueError):
    """A value that does not fit a type, with everything that is wrong about it."""

    def __init__(self, wrong: list[Wrong]):
        super().__init__("; ".join(f"{one.pointer or '/'}: {one.message}" for one in wrong))
        self.wrong = wrong


def parse(kind: Any, value: Any) -> Any:
    """A value of this type, of what JSON holds.

    Raises `DoesNotFit`, which lists everything that is wrong and not the first thing.
    """
    wrong: list[Wrong] = []
    parsed = _parse(kind, value, "", wrong)
    if wrong:
        raise DoesNotFit(wrong)
    return parsed


def _parse(kind: Any, value: Any, pointer: str, wrong: list[Wrong]) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)

    def unfit(expected: str) -> None:
        wrong.append(Wrong(pointer, "type", f"{_name(value)} is not {expected}"))

    if origin is Annotated:
        before = len(wrong)
        parsed = _parse(arguments[0], value, pointer, wrong)
        if len(wrong) == before and parsed is not None:
            for word in arguments[1:]:
                check = getattr(word, "wrong", None)
                message = check(parsed) if check else None
                if message:
                    wrong.append(Wrong(pointer, type(word).__name__.lower(), message))
        return parsed
    if kind is Any:
        return value
    if kind is Secret:
        return Secret(value) if isinstance(value, str) else unfit("a text")
    if kind in _SCALARS:
        # JSON's 1.0 is an integer to nobody but JavaScript; true is a number to Python alone.
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        return value if fits else unfit(f"a {_SCALARS[kind]}")
    if origin is Literal:
        # In Python 1 == True, in JSON it is not.
        same = [one for one in arguments if one == value and type(one) is type(value)]
        return same[0] if same else unfit(f"one of {', '.join(map(repr, arguments))}")
    if origin is list:
        if not isinstance(value, list):
            return unfit("a list")
        return [_parse(arguments[0], one, f"{pointer}/{index}", wrong) for index, one in enumerate(value)]
    if origin is dict:
        if not isinstance(value, dict):
            return unfit("an object")
        return {key: _parse(arguments[1], one, f"{pointer}/{_escaped(key)}", wrong) for key, one in value.items()}
    if origin in (typing.Union, types.UnionType):
        return _union(arguments, value, pointer, wrong)
    if isinstance(kind, type) and issubclass(kind, Enum):
        found = [member for member in kind if member.value == value]
        return found[0] if found else unfit(f"one of {', '.join(repr(member.value) for member in kind)}")
    return _dataclass(kind, value, pointer, wrong)


def _union(arguments: tuple, value: Any, pointer: str, wrong: list[Wrong]) -> Any:
    if value is None and type(None) in arguments:
        return None
    present = [argument for argument in arguments if argument is not type(None)]
    tries = []
    for argument in present:
        found: list[Wrong] = []
        parsed = _parse(argument, value, pointer, found)
        if not found:
            return parsed
        tries.append(found)
    # What came furthest is what was meant.
    wrong.extend(max(tries, key=lambda found: len(found[0].pointer)))
    return None


def _dataclass(kind: Any, value: Any, pointer: str, wrong: list[Wrong]) -> Any:
    if not isinstance(value, dict):
        wrong.append(Wrong(pointer, "type", f"{_name(value)} is not an object"))
        return None
    before, members = len(wrong), {}
    for name, hint, required in _fields(kind):
        if name in value:
            members[name] = _parse(hint, value[name], f"{pointer}/{_escaped(name)}", wrong)
        elif required:
            wrong.append(Wrong(f"{pointer}/{_escaped(name)}", "required", "is missing"))
    known = {name for name, _, _ in _fields(kind)}
    strange = (name for name in value if name not in known)
    wrong.extend(Wrong(f"{pointer}/{_escaped(name)}", "unknown_property", "there is no such property") for name in strange)
    return kind(**members) if len(wrong) == before else None


_FIELDS: dict[Any, list[tuple[str, Any, bool]]] = {}


def _fields(kind: Any) -> list[tuple[str, Any, bool]]:
    """Name, type, and whether it has to be there. Looked up once: hints are texts to evaluate."""
    if kind not in _FIELDS:
        hints = typing.get_type_hints(kind, include_extras=True)
        missing = dataclasses.MISSING
        _FIELDS[kind] = [
            (field.name, hints[field.name], field.default is missing and field.default_factory is missing)
            for field in dataclasses.fields(kind)
        ]
    return _FIELDS[kind]


def _escaped(name: str) -> str:
    """A member's name in a JSON Pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _name(value: Any) -> str:
    """A value for a message: its kind, and itself where it is short."""
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"


def warm(kind: Any) -> Iterator[Any]:
    """Looks at every dataclass in a type, so that a component has done it when it is built."""
    for argument in typing.get_args(kind):
        yield from warm(argument)
    # What Annotated adds are values, some of them of dataclasses.
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        yield kind
        for _, hint, _ in _fields(kind):
            yield from warm(hint)
