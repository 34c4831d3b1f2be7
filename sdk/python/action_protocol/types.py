"""What a property of a config says about itself, beside its type.

    retries: Annotated[int, Doc("How often to try."), Range(0, 10)] = 3
"""

from dataclasses import dataclass
from enum import Enum

from wit_world.imports.model import Effect

__all__ = ["Doc", "Effect", "Egress", "Extra", "Length", "Pattern", "Range"]


@dataclass(frozen=True)
class Doc:
    """What the property is for, shown where somebody fills it in."""

    text: str

    def schema(self) -> dict:
        return {"description": self.text}


class Egress(Enum):
    """What an execution may reach: where this stands, the property's value is a grant."""

    HTTP = "http"
    """The value is a URL."""
    TCP = "tcp"
    """The value is `host:port`."""

    def schema(self) -> dict:
        return {"x-egress": self.value}


@dataclass(frozen=True)
class Range:
    """The least and the most that a number may be, both included."""

    least: float | None = None
    most: float | None = None

    def schema(self) -> dict:
        return _without_none({"minimum": self.least, "maximum": self.most})

    def wrong(self, value) -> str | None:
        if self.least is not None and value < self.least:
            return f"{value} is under {self.least}"
        if self.most is not None and value > self.most:
            return f"{value} is over {self.most}"
        return None


@dataclass(frozen=True)
class Length:
    """The least and the most characters of a text, or items of a list."""

    least: int | None = None
    most: int | None = None

    def schema(self) -> dict:
        # JSON Schema has other words for lists; a property has one type, and the other pair says nothing.
        text = {"minLength": self.least, "maxLength": self.most}
        return _without_none({**text, "minItems": self.least, "maxItems": self.most})

    def wrong(self, value) -> str | None:
        if self.least is not None and len(value) < self.least:
            return f"shorter than {self.least}"
        if self.most is not None and len(value) > self.most:
            return f"longer than {self.most}"
        return None


@dataclass(frozen=True)
class Pattern:
    """A regular expression that a text has to match somewhere, as in JSON Schema."""

    text: str

    def schema(self) -> dict:
        return {"pattern": self.text}

    def wrong(self, value) -> str | None:
        import re

        return None if re.search(self.text, value) else f"does not match {self.text}"


@dataclass(frozen=True)
class Extra:
    """Any other keywords of JSON Schema. They are the service's to check."""

    keywords: dict

    def schema(self) -> dict:
        return self.keywords


def _without_none(words: dict) -> dict:
    return {word: value for word, value in words.items() if value is not None}
