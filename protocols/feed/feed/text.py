"""Times, identities and lengths of what feeds say."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def time(text: str | None) -> str | None:
    """A time in any of the forms that feeds use, as RFC 3339 in UTC; `None` where it makes no sense."""
    text = (text or "").strip()
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(text)
            # A time without a zone means UTC: it is nearer than nothing.
            found = found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return found.isoformat(timespec="seconds").replace("+00:00", "Z")
    return None


def identity(*candidates: str | None, of: Callable[[], str]) -> str:
    """The first candidate that says something, else a digest of what the entry is made of."""
    for candidate in candidates:
        if candidate and candidate.strip():
            return candidate.strip()
    return "sha256:" + hashlib.sha256(of().encode("utf-8", "replace")).hexdigest()


def cut(text: str | None, bytes_max: int) -> tuple[str | None, bool]:
    """A text of at most so many bytes, and whether something is gone. It is not cut through a character."""
    if text is None or bytes_max == 0:
        return None, False
    data = text.encode("utf-8", "replace")
    if len(data) <= bytes_max:
        return text, False
    return data[:bytes_max].decode("utf-8", "ignore"), True


def clean(text: str | None) -> str | None:
    """A text without the white space around it; `None` for an empty one."""
    return (text or "").strip() or None
