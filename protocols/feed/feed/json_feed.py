"""JSON Feed, versions 1 and 1.1."""

import math
from typing import Any

from action_protocol.boundary import parse_json

from .model import Document, Enclosure, Entry, Head, NotAFeed
from .text import clean, identity, time
from .tree import resolve
from .wanted import Enough, Wanted


def read(data: bytes, base: str, wanted: Wanted) -> Document:
    """A feed of a JSON document. Raises `NotAFeed` where it is something else."""
    try:
        value = parse_json(data)
    except ValueError as error:
        raise NotAFeed(f"not JSON: {error}") from None
    version = value.get("version") if isinstance(value, dict) else None
    if not isinstance(version, str) or not version.startswith("https://jsonfeed.org/version/1"):
        raise NotAFeed("its `version` is not that of a JSON Feed")
    items = value.get("items")
    if not isinstance(items, list):
        raise NotAFeed("its `items` is no list")
    head = Head(_text(value, "title"), resolve(base, _text(value, "home_page_url")), _text(value, "description"))
    items = _dicts(items)
    try:
        for number, item in enumerate(items):
            name = _identity(item, base)
            wanted.offer(name, lambda item=item, name=name: _entry(item, base, name))
    except Enough:
        wanted.rest(len(items) - number)
    return Document("json", head)


def _identity(item: dict, base: str) -> str:
    def made_of() -> str:
        return f"{_text(item, 'title')}\n{_text(item, 'summary')}\n{_content(item)}"

    return identity(_text(item, "id"), _url(item, base), of=made_of)


def _url(item: dict, base: str) -> str | None:
    return resolve(base, _text(item, "url") or _text(item, "external_url"))


def _content(item: dict) -> str | None:
    return _text(item, "content_html") or _text(item, "content_text")


def _entry(item: dict, base: str, name: str) -> Entry:
    # Version 1 has one author, 1.1 a list.
    authors = _dicts(item.get("authors")) or _dicts([item.get("author")])
    files = [Enclosure(resolve(base, _text(one, "url")), _text(one, "mime_type"), _whole(one.get("size_in_bytes")))
             for one in _dicts(item.get("attachments"))]
    tags = item.get("tags")
    return Entry(
        id=name,
        url=_url(item, base),
        title=_text(item, "title"),
        summary=_text(item, "summary"),
        content=_content(item),
        published=time(_text(item, "date_published")),
        updated=time(_text(item, "date_modified")),
        authors=[name for name in (_text(author, "name") for author in authors) if name],
        categories=[tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
        enclosures=[file for file in files if file.url],
    )


def _text(value: dict, name: str) -> str | None:
    """A text; an id may be a number, which the format asks to be taken for one."""
    found = value.get(name)
    if isinstance(found, int | float) and not isinstance(found, bool):
        # More digits than a double holds are read as infinity, which is no name.
        return str(found) if math.isfinite(found) else None
    return clean(found) if isinstance(found, str) else None


def _dicts(value: Any) -> list[dict]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
