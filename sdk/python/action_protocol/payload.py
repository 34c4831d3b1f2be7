"""Payloads: JSON, text and bytes, with their media types."""

from dataclasses import dataclass, field
from typing import Any

from wit_world.imports import model

from . import schema
from .boundary import lowered, parse_json, to_json, whole
from .failure import InvalidInput


@dataclass
class Payload(model.Payload):
    """Bytes with their media type."""

    @classmethod
    def json(cls, value: Any) -> "Payload":
        """A value as JSON; dataclasses too."""
        return cls("application/json", to_json(schema.plain(value)).encode())

    @classmethod
    def text(cls, text: str) -> "Payload":
        """A text, in UTF-8."""
        return cls("text/plain; charset=utf-8", whole(text).encode())

    @classmethod
    def bytes(cls, content_type: str, data: bytes) -> "Payload":
        """Bytes of this media type."""
        return cls(content_type, data)

    @property
    def media_type(self) -> str:
        """The media type without its parameters, in small letters."""
        return media_type(self.content_type)

    @property
    def is_json(self) -> bool:
        """Whether the media type says JSON."""
        return is_json(self.content_type)

    def parse(self, kind: Any = Any) -> Any:
        """The JSON in it, as a type. Raises `InvalidInput` with every place where it does not fit."""
        try:
            value = parse_json(self.data)
        except ValueError as error:
            raise InvalidInput(f"the input is not JSON: {error}") from None
        try:
            return schema.parse(kind, value)
        except schema.DoesNotFit as error:
            issues = [schema.plain(one) for one in error.wrong]
            raise InvalidInput(f"the input does not fit: {error}", details={"issues": issues}) from None


@dataclass
class WebhookReply:
    """The answer to a webhook caller who waits for it."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Outcome:
    """An output, and the answer to a webhook's caller where there is one to give."""

    output: Payload
    reply: WebhookReply | None = None

    @classmethod
    def of(cls, given: "Outcome | Payload") -> "Outcome":
        """What `execute` gave, in full: most give a payload alone."""
        return given if isinstance(given, cls) else cls(given)

    def to_wit(self) -> model.Outcome:
        """As the contract has it."""
        reply = self.reply and model.WebhookReply(
            self.reply.status,
            [model.Header(name, whole(value).encode()) for name, value in self.reply.headers.items()],
            self.reply.body,
        )
        return lowered(model.Outcome(self.output, reply))


def media_type(content_type: str) -> str:
    """A content type without its parameters, in small letters."""
    return content_type.split(";", 1)[0].strip().lower()


def is_json(content_type: str) -> bool:
    """Whether a content type is JSON, or one of the `+json` kind."""
    kind = media_type(content_type)
    return kind == "application/json" or kind.endswith("+json")
