"""The protocol: asks for the feed, reads it, captures its entries."""

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
    capture,
    http,
    journal,
)

from . import json_feed, syndication, tree
from .model import Document, Entry, NotAFeed
from .text import cut

STATE = "feed"
"""The name under which it is kept where the reading stands."""

ACCEPT = "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml, application/xml;q=0.9, */*;q=0.5"
HOPS_MAX = 5


@dataclass
class Config:
    url: Annotated[str, Doc("Where the feed is."), Egress.HTTP]
    redirect_urls: Annotated[
        list[Annotated[str, Egress.HTTP]], Doc("Other hosts that the feed may redirect to, as URLs.")
    ] = field(default_factory=list)
    authorization: Annotated[Secret | None, Doc("The value of the header Authorization.")] = None
    max_entries: Annotated[int, Doc("Entries read, in the document's order."), Range(1, 1000)] = 100
    max_content_bytes: Annotated[
        int, Doc("An entry's content and summary are cut after so many bytes each; 0 leaves both out."), Range(0, 1 << 20)
    ] = 65_536
    timeout_ms: Annotated[int, Doc("For each request."), Range(1, 600_000)] = 20_000


@dataclass
class Standing:
    """What was there the last time."""

    url: str
    etag: str | None = None
    last_modified: str | None = None


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
            "left_out": {"type": "integer", "description": "Entries beyond max_entries."},
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
        document = read(response)
        title = document.head.title or "without a title"
        newest = max((entry.updated or entry.published or "" for entry in document.entries), default="")
        summary = f"{document.format} feed {title!r}, {len(document.entries)} entries"
        return ConnectionReport(
            f"{summary}, the newest of {newest}" if newest else summary,
            {"url": response.url, "format": document.format, "feed": document.head, "entries": len(document.entries)},
        )

    def execute(self, call: Call[Config]) -> Payload:
        config = call.config
        before, captures = recall(config.url)
        response = ask(config, before)
        if response.status == 304:
            return Payload.json({"status": "not_modified", "url": response.url, "entries": [], "captured": captures})
        document = read(response.raise_for_status(Effect.READ))
        entries = [shorten(entry, config.max_content_bytes) for entry in document.entries[: config.max_entries]]
        if captures:
            for entry in entries:
                capture.emit("entry", Payload.json(entry), key=entry.id)
            now = Standing(config.url, response.header("etag"), response.header("last-modified"))
            capture.set_state_json(STATE, now)
        left_out = len(document.entries) - len(entries)
        if left_out:
            journal.warn(f"{left_out} entries are beyond max_entries ({config.max_entries})")
        return Payload.json(
            {
                "status": "read",
                "url": response.url,
                "format": document.format,
                "feed": document.head,
                "entries": entries,
                "left_out": left_out,
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


def ask(config: Config, before: Standing) -> http.Response:
    """The feed, or that it is as it was."""
    headers = {"Accept": ACCEPT, "User-Agent": f"action-service-feed/{Feed.version}"}
    if config.authorization is not None:
        headers["Authorization"] = config.authorization
    if before.etag:
        headers["If-None-Match"] = before.etag
    if before.last_modified:
        headers["If-Modified-Since"] = before.last_modified
    return http.follow(config.url, headers=headers, hops_max=HOPS_MAX, timeout_ms=config.timeout_ms)


def read(response: http.Response) -> Document:
    """The feed in an answer, whatever its media type says: many lie."""
    body = response.body.lstrip(b"\xef\xbb\xbf \t\r\n")
    try:
        if body.startswith(b"{"):
            return json_feed.read(body, response.url)
        return syndication.read(tree.parse(body, response.url, charset(response)))
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
