"""An HTTP client: the service resolves names, checks them against the action's grants, connects,
does TLS and puts secrets in the place of their handles. None of that is in the component.

    response = http.post(url, json={"title": "…"}, bearer=config.token, timeout_ms=5_000)
    response.raise_for_status(Effect.UNSAFE)
"""

import base64
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from componentize_py_types import Err
from wit_world.imports import outbound
from wit_world.imports.model import Effect, Header
from wit_world.imports.outbound import ClientIdentity, TlsOptions

from . import schema
from .boundary import lowered, parse_json, whole
from .failure import Advice, BadResponse, Failure, InvalidConfig, RateLimited, Rejected, Unauthenticated, Unavailable
from .payload import Payload, is_json, media_type

__all__ = ["ClientIdentity", "OutboundError", "Response", "TlsOptions", "follow", "get", "head", "post", "request"]

Headers = dict[str, str] | list[tuple[str, str]]

_DETAILS_BYTES_MAX = 4_096
"""Enough of a body to see what the remote complains about."""

_REDIRECTS = (301, 302, 303, 307, 308)
_CREDENTIALS = ("authorization", "proxy-authorization", "cookie")
_HANDLE = "sec_"


class OutboundError(Exception):
    """No answer, and why. `word` is the contract's, `detail` what the service adds."""

    def __init__(self, word: str, detail: str, *, effect: Effect = Effect.UNSAFE):
        super().__init__(f"{_WORDS[word]}: {detail}" if detail else _WORDS[word])
        self.word = word
        self.detail = detail
        self.effect = effect

    def failure(self, effect: Effect | None = None) -> Failure:
        """What it means for an execution with this effect.

        Where the request may have been carried out and nobody knows, a repeat is right only if it
        does no harm. Without an effect the worst is taken for granted.
        """
        repeat = Advice.IN_DOUBT if (effect or self.effect) == Effect.UNSAFE else Advice.RETRY
        match self.word:
            case "denied" | "bad-request":
                return InvalidConfig(str(self))
            case "name-unknown" | "connect-failed":
                return Unavailable(str(self))
            case "timed-out" | "closed":
                return Unavailable(str(self), advice=repeat)
            case "bad-response":
                return BadResponse(str(self), advice=repeat)
            case _:  # tls-failed, too-large: a repeat would bring the same
                return BadResponse(str(self))


_WORDS = {
    "denied": "denied",
    "name-unknown": "the name is unknown",
    "connect-failed": "no connection",
    "tls-failed": "no TLS",
    "timed-out": "it took too long",
    "closed": "the connection was closed",
    "too-large": "the answer is over so many bytes",
    "bad-request": "the request makes no sense",
    "bad-response": "the answer makes no sense",
}


def outbound_error(value: outbound.OutboundError, effect: Effect = Effect.UNSAFE) -> OutboundError:
    """The exception for what the contract calls an outbound-error."""
    word = "".join(f"-{c.lower()}" if c.isupper() else c for c in type(value).__name__.split("_")[1]).lstrip("-")
    return OutboundError(word, str(getattr(value, "value", "")), effect=effect)


@dataclass
class Response:
    """An answer, whatever its status."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    url: str = ""
    """Who gave it: another than was asked, where redirects were followed."""

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def media_type(self) -> str:
        """The content type without its parameters; empty where there is none."""
        return media_type(self.header("content-type") or "")

    @property
    def is_json(self) -> bool:
        """Whether the content type says JSON."""
        return is_json(self.header("content-type") or "")

    def text(self) -> str:
        """The body as text; what is not UTF-8 in it is replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self, kind: Any = Any) -> Any:
        """The body's JSON as a type. Raises `BadResponse` with every place where it does not fit."""
        try:
            return schema.parse(kind, parse_json(self.body))
        except ValueError as error:
            raise BadResponse(f"the answer does not fit: {error}") from None

    def payload(self) -> Payload:
        """The body with its content type."""
        return Payload(self.header("content-type") or "application/octet-stream", self.body)

    def retry_after_ms(self) -> int | None:
        """How long `Retry-After` asks to wait. A date is measured against the remote's own clock."""
        value = (self.header("retry-after") or "").strip()
        if value.isascii() and value.isdigit():
            return int(value[:12]) * 1000
        then = _date(value)
        if then is None:
            return None
        now = _date(self.header("date") or "")
        return max(0, int((then - (time.time() if now is None else now)) * 1000))

    def failure(self, effect: Effect = Effect.UNSAFE) -> Failure:
        """What a status that was not expected means for an execution with this effect."""
        wait = self.retry_after_ms()
        again = Advice.RETRY if wait is None else Advice.retry_after(wait)
        kind, advice = Rejected, Advice.GIVE_UP
        if self.status in (401, 403, 407):
            kind = Unauthenticated
        elif self.status in (408, 425, 429):  # the remote did not begin with it
            kind, advice = RateLimited, again
        elif self.status in (502, 504) and effect == Effect.UNSAFE:
            # A gateway says that it does not know what became of the request.
            kind, advice = Unavailable, Advice.IN_DOUBT
        elif self.status >= 500 and self.status not in (501, 505):
            kind, advice = Unavailable, again
        elif self.status < 300:
            kind = BadResponse
        excerpt = self.body[:_DETAILS_BYTES_MAX].decode("utf-8", "replace")
        message = f"{_without_query(self.url)} answered {self.status}"
        return kind(message, advice=advice, details={"status": self.status, "body": excerpt})

    def raise_for_status(self, effect: Effect = Effect.UNSAFE) -> "Response":
        """Raises what the status means, unless it is 2xx."""
        if not self.ok:
            raise self.failure(effect)
        return self


def request(
    method: str,
    url: str,
    *,
    headers: Headers | None = None,
    body: bytes | None = None,
    json: Any = None,
    bearer: str | None = None,
    basic_auth: tuple[str, str] | None = None,
    timeout_ms: int | None = None,
    tls: TlsOptions | None = None,
    effect: Effect = Effect.UNSAFE,
) -> Response:
    """Sends one request and gives the whole of its answer. Redirects are not followed; `follow` does.

    `bearer` and the password of `basic_auth` may be secrets' handles. `effect` is what the request
    does: an `OutboundError` that escapes `execute` becomes a failure by it.
    """
    pairs = list(headers.items() if isinstance(headers, dict) else headers or [])
    given = {name.lower() for name, _ in pairs}
    if json is not None:
        body = Payload.json(json).data
        if "content-type" not in given:
            pairs.append(("Content-Type", "application/json"))
    if bearer is not None:
        pairs.append(("Authorization", f"Bearer {bearer}"))
    if basic_auth is not None:
        # The service looks into the encoded pair for handles.
        pairs.append(("Authorization", "Basic " + base64.b64encode(whole(":".join(basic_auth)).encode()).decode()))
    wit = [Header(name, whole(value).encode()) for name, value in pairs]
    try:
        answer = outbound.send(lowered(outbound.HttpRequest(method, url, wit, body, timeout_ms, tls)))
    except Err as error:
        raise outbound_error(error.value, effect) from None
    # Header values are bytes; Latin-1 loses none of them.
    got = [(header.name, header.value.decode("latin-1").strip()) for header in answer.headers]
    return Response(answer.status, got, answer.body, url)


def get(url: str, **options: Any) -> Response:
    """A GET, which only reads."""
    return request("GET", url, **{"effect": Effect.READ, **options})


def head(url: str, **options: Any) -> Response:
    """A HEAD: what GET would give, without its body."""
    return request("HEAD", url, **{"effect": Effect.READ, **options})


def post(url: str, **options: Any) -> Response:
    """A POST, of which a repeat may act twice, unless you say otherwise."""
    return request("POST", url, **options)


def follow(url: str, *, hops_max: int = 5, headers: Headers | None = None, **options: Any) -> Response:
    """A GET that follows redirects, as RFC 9110 has them; the last redirect is the answer where there are more.

    Each hop is a request of its own, so a redirect leads nowhere that the action does not grant.
    Credentials stay with the origin that they were given for, and so do headers with a secret in them.
    """
    pairs = list(headers.items() if isinstance(headers, dict) else headers or [])
    for _ in range(hops_max):
        response = get(url, headers=pairs, **options)
        location = response.header("location")
        if response.status not in _REDIRECTS or not location:
            return response
        target, origin = _target(url, location)
        if origin != _origin(url):
            pairs = [(n, v) for n, v in pairs if n.lower() not in _CREDENTIALS and _HANDLE not in v]
            for name in ("bearer", "basic_auth", "tls"):
                options.pop(name, None)
        url = target
    return get(url, headers=pairs, **options)


def _target(url: str, location: str) -> tuple[str, tuple]:
    """Where a redirect leads, and the origin of that."""
    try:
        target = urljoin(url, location)
        origin = _origin(target)
    except ValueError:  # brackets that do not close, a port that is none
        origin = ("",)
    if origin[0] not in ("http", "https"):
        raise BadResponse(f"{_without_query(url)} redirects to what is no URL")
    return target, origin


def _origin(url: str) -> tuple:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _without_query(url: str) -> str:
    """A URL for a message: its query may hold what is nobody's business."""
    return url.split("?", 1)[0] or "the remote"


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
