"""Which entries of a document are read: those that were not taken before, up to a number."""

import hashlib
from collections.abc import Callable

from .model import Entry

LOOKED_AT_MAX = 1_000
"""Entries of a document that are looked at. Each costs some 300,000 of the 1e9 of fuel that an action has by default,
and the newest come first."""


class Enough(Exception):
    """Nothing further of the document is wanted."""


class Wanted:
    """Takes entries in the document's order."""

    def __init__(self, entries_max: int, taken: frozenset[str] = frozenset()):
        self.entries_max = entries_max
        self.taken = taken
        self.entries: list[Entry] = []
        self.again: list[str] = []
        """Of what was taken before, what the document still has."""
        self.left_out = 0
        """Entries that are for another time."""
        self.out_of_reach = 0
        """Entries behind the last that is looked at."""

    def offer(self, identity: str, make: Callable[[], Entry]) -> None:
        """One more, which is made only if it is wanted. Raises `Enough` where it is one too many."""
        mark = marked(identity)
        if self._is_at_the_last():
            raise Enough
        if mark in self.taken:
            self.again.append(mark)
        elif len(self.entries) < self.entries_max:
            self.entries.append(make())
        else:
            raise Enough

    def rest(self, entries: int) -> None:
        """So many entries are in the document that were not taken: the one that was too many, and what follows."""
        if self._is_at_the_last():
            self.out_of_reach = entries
        else:
            self.left_out = entries

    def _is_at_the_last(self) -> bool:
        return len(self.entries) + len(self.again) >= LOOKED_AT_MAX

    def marks(self) -> list[str]:
        """What the next reading has to know as taken. Nothing where it reads all of the document at once anyway."""
        marks = [*(marked(entry.id) for entry in self.entries), *self.again]
        return marks if self.left_out or len(marks) > self.entries_max else []


def marked(identity: str) -> str:
    """An entry's id in a few characters, to be known again by."""
    return hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:16]
