"""What every kind of feed is brought to, and its bounds."""

from dataclasses import dataclass, field

DEPTH_MAX = 64
"""How deep the elements of a feed may be nested. Real ones have six levels."""


class NotAFeed(ValueError):
    """A document that is no feed, and why."""


@dataclass
class Enclosure:
    """A file that belongs to an entry."""

    url: str
    type: str | None = None
    bytes: int | None = None


@dataclass
class Entry:
    """One entry. What the feed does not say is `None`."""

    id: str
    url: str | None = None
    title: str | None = None
    summary: str | None = None
    content: str | None = None
    content_cut: bool = False
    published: str | None = None
    updated: str | None = None
    authors: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    enclosures: list[Enclosure] = field(default_factory=list)


@dataclass
class Head:
    """What a feed says about itself."""

    title: str | None = None
    url: str | None = None
    description: str | None = None
    updated: str | None = None


@dataclass
class Document:
    """A feed."""

    format: str
    head: Head
