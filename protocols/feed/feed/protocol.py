"""The protocol: asks for the feed, reads it, captures its entries."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from action_protocol import (
    Accepted,
    BadResponse,
    Call,
    ConnectionReport,
    Doc,
    Effect,
    Egress,
    Issue,
    Payload,
    Protocol,
    Range,
    Secret,
    Tls,
    capture,
    http,
    journal,
)

from . import json_feed, syndication
from .model import Document, Entry, NotAFeed
from .text import cut
from .wanted import LOOKED_AT_MAX, Wanted

STATE = "feed"
"""The name under which it is kept where the reading stands."""

ACCEPT = "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml, application/xml;q=0.9, */*;q=0.5"
HOPS_MAX = 5
KEY_BYTES_MAX = 512
"""Longest key of an item that the service takes."""


@dataclass
class Config:
    url: Annotated[str, Doc("Where the feed is."), Egress.HTTP]
    redirect_urls: Annotated[
        list[Annotated[str, Egress.HTTP]], Doc("Other hosts that the feed may redirect to, as URLs.")
    ] = field(default_factory=list)
    authorization: Annotated[Secret | None, Doc("The value of the header Authorization.")] = None
    max_entries: Annotated[
        int, Doc("Entries read at once, in the document's order; the next execution goes on behind them."), Range(1, 1000)
    ] = 100
    max_content_bytes: Annotated[
        int, Doc("An entry's content and summary are cut after so many bytes each; 0 leaves both out."), Range(0, 1 << 20)
    ] = 65_536
    timeout_ms: Annotated[int, Doc("For each request."), Range(1, 600_000)] = 20_000
    tls: Annotated[Tls | None, Doc("For a private certificate authority, or a client certificate.")] = None


@dataclass
class Standing:
    """What was there the last time."""

    url: str
    etag: str | None = None
    last_modified: str | None = None
    taken: list[str] = field(default_factory=list)
    """Of a document with more entries than are read at once: those that were, to go on behind them."""


class Feed(Protocol[Config]):
    name = "feed"
    version = "0.1.0"
    summary = "Reads RSS, Atom and JSON Feed, and captures the entries that are new"
    documentation = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    examples = {
        "Read a feed": {"url": "https://example.com/feed.xml"},
        "Read one that needs a token, titles only": {
            "url": "https://example.com/private/feed.json",
            "authorization": {"$secret": "feed-token", "prefix": "Bearer "},
            "max_content_bytes": 0,
        },
    }
    output_schema = {
        "type": "object",
        "properties": {
            "status": {"enum": ["read", "not_modified"]},
            "url": {"type": "string"},
            "format": {"enum": ["rss", "rdf", "atom", "json", None]},
            "feed": {"type": ["object", "null"]},
            "entries": {"type": "array", "items": {"type": "object", "required": ["id"]}},
            "left_out": {"type": "integer", "description": "Entries beyond max_entries, about."},
            "captured": {"type": "boolean", "description": "Whether the entries were captured as items too."},
        },
        "required": ["status", "entries", "captured"],
    }

    def validate(self, config: Config) -> Accepted | list[Issue]:
        urls = [("/url", config.url)] + [(f"/redirect_urls/{n}", url) for n, url in enumerate(config.redirect_urls)]
        wrong = [
            Issue(pointer, "invalid_url", f"{url} is no http or https URL")
            for pointer, url in urls
            if not url.startswith(("http://", "https://"))
        ]
        return wrong or Accepted.read()

    def test_connection(self, config: Config) -> ConnectionReport:
        response = ask(config, Standing(config.url)).raise_for_status(Effect.READ)
        wanted = Wanted(config.max_entries)
        document = read(response, wanted)
        title = document.head.title or "without a title"
        newest = max((entry.updated or entry.published or "" for entry in wanted.entries), default="")
        entries = len(wanted.entries) + wanted.left_out
        summary = f"{document.format} feed {title!r}, {entries} entries"
        return ConnectionReport(
            f"{summary}, the newest of {newest}" if newest else summary,
            {"url": response.url, "format": document.format, "feed": document.head, "entries": entries},
        )

    def execute(self, call: Call[Config]) -> Payload:
        config = call.config
        before, captures = recall(config.url)
        response = ask(config, before)
        if response.status == 304:
            return Payload.json({"status": "not_modified", "url": response.url, "entries": [], "captured": captures})
        wanted = Wanted(config.max_entries, frozenset(before.taken))
        document = read(response.raise_for_status(Effect.READ), wanted)
        entries = [shorten(entry, config.max_content_bytes) for entry in wanted.entries]
        if captures:
            for entry in entries:
                capture.emit("entry", Payload.json(entry), key=key_of(entry))
            capture.set_state_json(STATE, standing(config.url, response, wanted))
        if wanted.left_out:
            then = "the next execution goes on behind them" if captures else "they are not read"
            journal.warn(f"{wanted.left_out} entries are beyond max_entries ({config.max_entries}): {then}")
        if wanted.out_of_reach:
            journal.warn(f"{wanted.out_of_reach} entries are behind the first {LOOKED_AT_MAX} of the feed, and not read")
        return Payload.json(
            {
                "status": "read",
                "url": response.url,
                "format": document.format,
                "feed": document.head,
                "entries": entries,
                "left_out": wanted.left_out + wanted.out_of_reach,
                "captured": captures,
            }
        )


def recall(url: str) -> tuple[Standing, bool]:
    """Where the reading of this URL stands, and whether the service takes items at all."""
    try:
        found = capture.state_json(STATE, Standing)
    except capture.NotAvailable as error:
        journal.info(f"entries are in the output alone: {error}")
        return Standing(url), False
    # Another feed was read before: what it said says nothing about this one.
    return (found if found and found.url == url else Standing(url)), True


def standing(url: str, response: http.Response, wanted: Wanted) -> Standing:
    """What the next execution has to know."""
    if wanted.left_out:
        # A feed that says that nothing has changed would keep them for itself.
        return Standing(url, taken=wanted.marks())
    return Standing(url, response.header("etag"), response.header("last-modified"), wanted.marks())


def key_of(entry: Entry) -> str:
    """What the entry is captured once under: its id, or a digest of one that is longer than the service takes."""
    data = entry.id.encode("utf-8", "replace")
    return entry.id if len(data) <= KEY_BYTES_MAX else "sha256:" + hashlib.sha256(data).hexdigest()


def ask(config: Config, before: Standing) -> http.Response:
    """The feed, or that it is as it was."""
    headers = {"Accept": ACCEPT, "User-Agent": f"action-service-feed/{Feed.version}"}
    if config.authorization is not None:
        headers["Authorization"] = config.authorization
    if before.etag:
        headers["If-None-Match"] = before.etag
    if before.last_modified:
        headers["If-Modified-Since"] = before.last_modified
    tls = config.tls and config.tls.options()
    return http.follow(config.url, headers=headers, hops_max=HOPS_MAX, timeout_ms=config.timeout_ms, tls=tls)


def read(response: http.Response, wanted: Wanted) -> Document:
    """The feed in an answer, whatever its media type says: many lie."""
    body = response.body.lstrip(b"\xef\xbb\xbf \t\r\n")
    try:
        if body.startswith(b"{"):
            return json_feed.read(body, response.url, wanted)
        return syndication.read(body, response.url, charset(response), wanted)
    except NotAFeed as error:
        raise BadResponse(f"{response.url.split('?')[0]} is no feed: {error}") from None


def charset(response: http.Response) -> str | None:
    """What the server says about the encoding, where it says so."""
    for parameter in (response.header("content-type") or "").split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip(' "') or None
    return None


def shorten(entry: Entry, bytes_max: int) -> Entry:
    entry.content, content_cut = cut(entry.content, bytes_max)
    entry.summary, summary_cut = cut(entry.summary, bytes_max)
    entry.content_cut = content_cut or summary_cut
    return entry
