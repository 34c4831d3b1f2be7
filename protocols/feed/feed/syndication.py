"""RSS (all of them) and Atom, from XML to entries."""

from collections.abc import Callable

from .model import Document, Enclosure, Entry, Head, NotAFeed
from .text import clean, identity, time
from .tree import Element, parse, resolve
from .wanted import Wanted

ATOM = "http://www.w3.org/2005/Atom"
ATOM_03 = "http://purl.org/atom/ns#"
RSS_10 = "http://purl.org/rss/1.0/"
RSS_09 = "http://my.netscape.com/rdf/simple/0.9/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC = "http://purl.org/dc/elements/1.1/"
CONTENT = "http://purl.org/rss/1.0/modules/content/"
MEDIA = "http://search.yahoo.com/mrss/"

_ATOMS = (ATOM, ATOM_03)
_RSS = ("", RSS_10, RSS_09)


def read(data: bytes, base: str, charset: str | None, wanted: Wanted) -> Document:
    """A feed of an XML document. Raises `NotAFeed` where it is something else.

    Each entry is offered as soon as it is read, and what is no longer wanted is not read at all.
    """

    def each(above: list[Element], element: Element) -> bool:
        kind = _kind(above, element)
        if kind is not None:
            identified, make = kind
            name = identified(element)
            wanted.offer(name, lambda: make(element, name))
        return kind is not None

    root, not_taken = parse(data, base, charset, each)
    wanted.rest(not_taken)
    match root.name:
        case "feed" if root.namespace in _ATOMS:
            return Document("atom", _atom_head(root))
        case "rss":
            channel = root.first("channel", "") or Element("", "channel", {}, root.base)
            return Document("rss", _rss_head(channel))
        case "RDF" if root.namespace == RDF:
            channel = root.first("channel", *_RSS) or Element("", "channel", {}, root.base)
            return Document("rdf", _rss_head(channel))
        case _:
            raise NotAFeed(f"its root is <{root.name}>, which is neither RSS nor Atom")


def _kind(above: list[Element], element: Element) -> tuple[Callable[[Element], str], Callable[[Element, str], Entry]] | None:
    """What names this element and makes an entry of it, if it is one where it stands."""
    root = above[0]
    match element.name:
        case "entry" if len(above) == 1 and root.name == "feed" and root.namespace in _ATOMS and element.namespace in _ATOMS:
            return _atom_identity, _atom_entry
        case "item" if len(above) == 2 and root.name == "rss" and above[1].name == "channel" and element.namespace == "":
            return _rss_identity, _rss_entry
        case "item" if len(above) == 1 and root.name == "RDF" and root.namespace == RDF and element.namespace in _RSS:
            return _rss_identity, _rss_entry
    return None


def _text(parent: Element, name: str, *namespaces: str) -> str | None:
    found = parent.first(name, *namespaces)
    return clean(found.text) if found else None


def _atom_text(parent: Element, name: str) -> str | None:
    """A text construct (RFC 4287, 3.1): XHTML comes as markup, the rest as it is."""
    found = parent.first(name, *_ATOMS)
    if found is None:
        return None
    inner = next(iter(found.children), None) if found.attributes.get("type") == "xhtml" else None
    return clean(inner.markup() if inner else found.text)


def _atom_link(parent: Element) -> str | None:
    links = [link for link in parent.all("link", *_ATOMS) if link.attributes.get("rel", "alternate") == "alternate"]
    return resolve(links[0].base, links[0].attributes.get("href")) if links else None


def _atom_head(feed: Element) -> Head:
    updated = _text(feed, "updated", *_ATOMS) or _text(feed, "modified", *_ATOMS)
    return Head(_atom_text(feed, "title"), _atom_link(feed), _atom_text(feed, "subtitle"), time(updated))


def _atom_identity(entry: Element) -> str:
    def made_of() -> str:
        return "\n".join(str(_atom_text(entry, name)) for name in ("title", "summary", "content"))

    return _text(entry, "id", *_ATOMS) or identity(_atom_link(entry), of=made_of)


def _atom_entry(entry: Element, name: str) -> Entry:
    return Entry(
        id=name,
        url=_atom_link(entry),
        title=_atom_text(entry, "title"),
        summary=_atom_text(entry, "summary"),
        content=_atom_text(entry, "content"),
        published=time(_text(entry, "published", *_ATOMS) or _text(entry, "issued", *_ATOMS)),
        updated=time(_text(entry, "updated", *_ATOMS) or _text(entry, "modified", *_ATOMS)),
        authors=_some(_text(author, "name", *_ATOMS) for author in entry.all("author", *_ATOMS)),
        categories=_some(category.attributes.get("term") for category in entry.all("category", *_ATOMS)),
        enclosures=[
            one for link in entry.all("link", *_ATOMS) if link.attributes.get("rel") == "enclosure" for one in _file(link, "href")
        ],
    )


def _rss_head(channel: Element) -> Head:
    updated = _text(channel, "lastBuildDate", "") or _text(channel, "pubDate", "") or _text(channel, "date", DC)
    url = resolve(channel.base, _text(channel, "link", *_RSS))
    return Head(_text(channel, "title", *_RSS), url, _text(channel, "description", *_RSS), time(updated))


def _rss_identity(item: Element) -> str:
    def made_of() -> str:
        return f"{_text(item, 'title', *_RSS)}\n{_text(item, 'description', *_RSS)}\n{_text(item, 'encoded', CONTENT)}"

    guid, about = _text(item, "guid", ""), item.attributes.get("about")
    # Resolving a URL costs as much as all the rest.
    return identity(guid, about, of=made_of) if guid or about else identity(_rss_url(item), of=made_of)


def _rss_url(item: Element) -> str | None:
    url, guid = resolve(item.base, _text(item, "link", *_RSS)), item.first("guid", "")
    if url is None and guid is not None and guid.attributes.get("isPermaLink", "true") == "true":
        return resolve(item.base, clean(guid.text))
    return url


def _rss_entry(item: Element, name: str) -> Entry:
    authors = [*item.all("author", ""), *item.all("creator", DC)]
    files = [*item.all("enclosure", ""), *item.all("content", MEDIA)]
    return Entry(
        id=name,
        url=_rss_url(item),
        title=_text(item, "title", *_RSS),
        summary=_text(item, "description", *_RSS),
        content=_text(item, "encoded", CONTENT),
        published=time(_text(item, "pubDate", "") or _text(item, "date", DC)),
        updated=time(_text(item, "updated", *_ATOMS)),
        authors=_some(clean(author.text) for author in authors),
        categories=_some(clean(one.text) for one in [*item.all("category", ""), *item.all("subject", DC)]),
        enclosures=[one for file in files for one in _file(file, "url")],
    )


def _file(element: Element, attribute: str) -> list[Enclosure]:
    url = resolve(element.base, element.attributes.get(attribute))
    length = element.attributes.get("length") or element.attributes.get("fileSize") or ""
    size = int(length) if length.isascii() and length.isdigit() and len(length) < 19 else None
    return [Enclosure(url, element.attributes.get("type"), size)] if url else []


def _some(texts) -> list[str]:
    """Those that say something, each once and in order."""
    return list(dict.fromkeys(text for text in texts if text))
