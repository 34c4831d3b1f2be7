"""Reads XML into a small tree, and refuses what XML can do to whoever reads it.

Entities that a document declares are the bomb (a kilobyte that expands to a gigabyte), so a
declaration ends the reading before anything is expanded. Nothing outside of the document is fetched.
"""

# Encodings are imported when they are first needed, which in a component is too late.
import encodings.cp1251
import encodings.cp1252
import encodings.iso8859_15
import encodings.koi8_r
import encodings.latin_1
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html.entities import html5
from urllib.parse import urljoin
from xml.parsers import expat

from .model import DEPTH_MAX, NotAFeed
from .wanted import Enough

_XML = "http://www.w3.org/XML/1998/namespace"


@dataclass
class Element:
    """An element with its text. Names are `(namespace, local name)`."""

    namespace: str
    name: str
    attributes: dict[str, str]
    base: str
    children: list["Element"] = field(default_factory=list)
    pieces: list["str | Element"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text in it, that of its children too."""
        return "".join(piece if isinstance(piece, str) else piece.text for piece in self.pieces)

    def all(self, name: str, *namespaces: str) -> list["Element"]:
        """The children of this name, in any of these namespaces."""
        return [child for child in self.children if child.name == name and child.namespace in namespaces]

    def first(self, name: str, *namespaces: str) -> "Element | None":
        """The first of them."""
        return next(iter(self.all(name, *namespaces)), None)

    def markup(self) -> str:
        """What stands in it, as XHTML again."""
        return "".join(escape(piece) if isinstance(piece, str) else piece._tag() for piece in self.pieces)

    def _tag(self) -> str:
        attributes = "".join(f' {name}="{escape(value)}"' for name, value in self.attributes.items() if ":" not in name)
        return f"<{self.name}{attributes}>{self.markup()}</{self.name}>"


def escape(text: str) -> str:
    """A text for markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


Each = Callable[[list["Element"], "Element"], bool]
"""Is given an element that has ended, and those that it stands in; whether nobody else needs it."""

_ENTRY = re.compile(rb"<(?:[\w.-]+:)?(?:item|entry)(?=[\s/>])")


def parse(data: bytes, base: str, charset: str | None, each: Each) -> tuple[Element, int]:
    """The document's root. Raises `NotAFeed` where it is not well-formed, or does what it must not.

    `charset` is what the server says, which goes before what the document says (RFC 7303). Where `each` has
    had `Enough`, the reading ends, and it is said how many entries were not taken, near enough.
    """
    reader = _Reader(base, each)
    parser = expat.ParserCreate(charset, namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.EntityDeclHandler = _refuse_entities
    parser.SkippedEntityHandler = reader.skipped
    # With a document type behind a URL expat takes unknown entities for declared there.
    parser.UseForeignDTD(True)
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    try:
        parser.Parse(data, True)
    except Enough:
        if reader.root is not None:
            return reader.root, 1 + len(_ENTRY.findall(data, parser.CurrentByteIndex))
    except expat.ExpatError as error:
        raise NotAFeed(f"not well-formed XML: {error}") from None
    except (LookupError, ValueError) as error:
        if isinstance(error, NotAFeed):
            raise
        raise NotAFeed(f"its encoding is not known: {error}") from None
    if reader.root is None:
        raise NotAFeed("the document is empty")
    return reader.root, 0


def _refuse_entities(name: str, *_: object) -> None:
    raise NotAFeed(f"it declares an entity ({name}), which is refused")


class _Reader:
    def __init__(self, base: str, each: Each):
        self.base = base
        self.each = each
        self.root: Element | None = None
        self.open: list[Element] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.open) >= DEPTH_MAX:
            raise NotAFeed(f"its elements are nested more than {DEPTH_MAX} deep")
        namespace, _, local = name.rpartition(" ")
        parent = self.open[-1] if self.open else None
        base = parent.base if parent else self.base
        if f"{_XML} base" in attributes:
            base = resolve(base, attributes[f"{_XML} base"]) or base
        plain = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        element = Element(namespace, local, plain, base)
        if parent:
            parent.children.append(element)
            parent.pieces.append(element)
        else:
            self.root = element
        self.open.append(element)

    def end(self, _: str) -> None:
        element = self.open.pop()
        # Entries stand in the root, or in the channel that stands in it.
        if 0 < len(self.open) < 3 and self.each(self.open, element):
            # It is always the last of its parent.
            self.open[-1].children.pop()
            self.open[-1].pieces.pop()

    def characters(self, text: str) -> None:
        self.open[-1].pieces.append(text)

    def skipped(self, name: str, is_parameter: bool) -> None:
        # `&nbsp;` and its like stand in feeds that never declared them.
        if not is_parameter and self.open:
            self.open[-1].pieces.append(html5.get(f"{name};", f"&{name};"))


def resolve(base: str, reference: str | None) -> str | None:
    """A URL that may be relative; `None` for one that makes no sense or leads nowhere on the web."""
    try:
        url = urljoin(base, (reference or "").strip())
    except ValueError:
        return None
    return url if reference and url.partition(":")[0] in ("http", "https", "mailto", "magnet", "tag", "urn") else None
