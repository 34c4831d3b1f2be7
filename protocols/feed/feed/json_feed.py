"""JSON Feed, versions 1 and 1.1."""

import json
from typing import Any

from .model import DEPTH_MAX, Document, Enclosure, Entry, Head, NotAFeed
from .text import clean, identity, time
from .tree import resolve


def read(data: bytes, base: str) -> Document:
    """A feed of a JSON document. Raises `NotAFeed` where it is something else."""
    try:
        value = json.loads(data)
    except RecursionError:
        raise NotAFeed(f"it is nested more than {DEPTH_MAX} deep") from None
    except ValueError as error:
        raise NotAFeed(f"not JSON: {error}") from None
    version = value.get("version") if isinstance(value, dict) else None
    if not isinstance(version, str) or not version.startswith("https://jsonfeed.org/version/1"):
        raise NotAFeed("its `version` is not that of a JSON Feed")
    items = value.get("items")
    if not isinstance(items, list):
        raise NotAFeed("its `items` is no list")
    head = Head(_text(value, "title"), resolve(base, _text(value, "home_page_url")), _text(value, "description"))
    return Document("json", head, [_entry(item, base) for item in items if isinstance(item, dict)])


def _entry(item: dict, base: str) -> Entry:
    title, summary = _text(item, "title"), _text(item, "summary")
    content = _text(item, "content_html") or _text(item, "content_text")
    url = resolve(base, _text(item, "url") or _text(item, "external_url"))
    # Version 1 has one author, 1.1 a list.
    authors = _dicts(item.get("authors")) or _dicts([item.get("author")])
    files = [Enclosure(resolve(base, _text(one, "url")), _text(one, "mime_type"), _whole(one.get("size_in_bytes")))
             for one in _dicts(item.get("attachments"))]
    tags = item.get("tags")
    return Entry(
        id=identity(_text(item, "id"), url, of=f"{title}\n{summary}\n{content}"),
        url=url,
        title=title,
        summary=summary,
        content=content,
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
        return str(found)
    return clean(found) if isinstance(found, str) else None


def _dicts(value: Any) -> list[dict]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
