"""What stands in for the service while a protocol's own tests run on this machine.

    with testing.Service(answer=lambda request: Response(200, body=b"…")) as service:
        outcome = testing.execute(Peek, {"url": "https://example.com/"})
    assert service.requests[0].url == "https://example.com/"

It keeps what is captured, logged and set, as the service would, and lets nothing out.
"""

import json
from collections.abc import Callable
from typing import Any
from unittest import mock

from componentize_py_types import Err
from wit_world.imports import capture, journal, model, outbound, secrets

from .http import Response
from .protocol import Protocol, export

__all__ = ["Response", "Service", "call", "execute", "test_connection", "validate"]


class Service:
    """Answers requests with `answer`, and remembers what was done."""

    def __init__(self, answer: Callable[[outbound.HttpRequest], Response] | None = None, *, captures: bool = True):
        self.answer = answer
        self.captures = captures
        self.requests: list[outbound.HttpRequest] = []
        self.items: list[capture.Item] = []
        self.state: dict[str, bytes] = {}
        self.logs: list[str] = []
        self.progress: list[tuple] = []
        self.secrets: dict[str, bytes] = {}

    def __enter__(self) -> "Service":
        self._patches = [
            mock.patch.object(outbound, "send", self._send),
            mock.patch.object(capture, "emit", self._emit),
            mock.patch.object(capture, "get_state", lambda key: self._store().get(key)),
            mock.patch.object(capture, "set_state", lambda key, value: self._store().__setitem__(key, value)),
            mock.patch.object(capture, "delete_state", lambda key: self._store().pop(key, None)),
            mock.patch.object(capture, "checkpoint", lambda: len(self._store() and self.items)),
            mock.patch.object(journal, "log", lambda level, message: self.logs.append(message)),
            mock.patch.object(journal, "progress", lambda *report: self.progress.append(report)),
            mock.patch.object(secrets, "reveal", self._reveal),
        ]
        for patch in self._patches:
            patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        for patch in self._patches:
            patch.stop()

    def _store(self) -> dict[str, bytes]:
        if not self.captures:
            raise Err(capture.CaptureError_Unavailable("capturing is not available"))
        return self.state

    def _emit(self, item: capture.Item) -> None:
        self._store()
        if item.key is None or all(item.key != other.key for other in self.items):
            self.items.append(item)

    def _reveal(self, handle: str) -> bytes:
        if handle not in self.secrets:
            raise Err(secrets.SecretError.UNKNOWN_HANDLE)
        return self.secrets[handle]

    def _send(self, request: outbound.HttpRequest) -> outbound.HttpResponse:
        self.requests.append(request)
        if self.answer is None:
            raise Err(outbound.OutboundError_Denied("no test answers"))
        given = self.answer(request)
        headers = [model.Header(name, value.encode("latin-1")) for name, value in given.headers]
        return outbound.HttpResponse(given.status, headers, given.body)


def call(config: dict, data: Any = b"", content_type: str = "application/json") -> model.Call:
    """A call as the service makes it. `data` that is not bytes becomes JSON."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    payload = model.Payload(content_type, body)
    return model.Call(
        "act_1", "exe_1", "exe_1", 1, "exe_1", "2030-01-01T00:00:00Z", None, model.Trigger_Call(), json.dumps(config), payload
    )


def validate(protocol: type[Protocol], config: dict) -> Any:
    """`Accepted`, or the list of issues."""
    try:
        return export(protocol)().validate_config(json.dumps(config))
    except Err as error:
        return error.value


def test_connection(protocol: type[Protocol], config: dict) -> Any:
    """The report, or the failure."""
    try:
        return export(protocol)().test_connection(json.dumps(config))
    except Err as error:
        return error.value


def execute(protocol: type[Protocol], config: dict, data: Any = b"", content_type: str = "application/json") -> Any:
    """The outcome, or the failure."""
    try:
        return export(protocol)().execute(call(config, data, content_type))
    except Err as error:
        return error.value
