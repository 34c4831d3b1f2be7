"""Write protocols for the action service in Python.

A protocol is a class, exported once:

    from dataclasses import dataclass
    from typing import Annotated

    from action_protocol import Accepted, ConnectionReport, Doc, Egress, Payload, Protocol, export, http


    @dataclass
    class Config:
        url: Annotated[str, Doc("Where to look."), Egress.HTTP]


    class Peek(Protocol[Config]):
        name = "peek"
        version = "0.1.0"
        summary = "Reads a page"

        def validate(self, config):
            return Accepted.read()

        def test_connection(self, config):
            return ConnectionReport(f"answered {http.head(config.url).status}")

        def execute(self, call):
            return Payload.text(http.get(call.config.url, timeout_ms=5_000).text())


    ProtocolApi = export(Peek)

The schema of the config is made of the dataclass, so the two cannot drift apart. Failures are
exceptions (`Unavailable`, `RateLimited` …), each with the advice that it usually carries. The
words are those of the contract, `wit/v0.1/action.wit`.
"""

from . import capture, http, journal, net, secrets
from .failure import (
    Advice,
    BadResponse,
    Failure,
    Internal,
    InvalidConfig,
    InvalidInput,
    RateLimited,
    Rejected,
    Unauthenticated,
    Unavailable,
)
from .net import Tls
from .payload import Outcome, Payload, WebhookReply
from .protocol import Accepted, Call, ConnectionReport, Issue, Protocol, export, export_reconciler
from .reconciliation import DidNot, TookEffect, Unknown
from .secrets import Secret
from .types import Doc, Effect, Egress, Extra, Length, Pattern, Range

__all__ = [
    "Accepted",
    "Advice",
    "BadResponse",
    "Call",
    "ConnectionReport",
    "DidNot",
    "Doc",
    "Effect",
    "Egress",
    "Extra",
    "Failure",
    "Internal",
    "InvalidConfig",
    "InvalidInput",
    "Issue",
    "Length",
    "Outcome",
    "Pattern",
    "Payload",
    "Protocol",
    "Range",
    "RateLimited",
    "Rejected",
    "Secret",
    "Tls",
    "TookEffect",
    "Unauthenticated",
    "Unavailable",
    "Unknown",
    "WebhookReply",
    "capture",
    "export",
    "export_reconciler",
    "http",
    "journal",
    "net",
    "secrets",
]
