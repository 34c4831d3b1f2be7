"""The execution's own record: lines of log, and progress for whoever watches.

What is printed is kept too; this says how much it matters.
"""

from wit_world.imports import journal as _journal
from wit_world.imports.journal import Level

from .boundary import whole

__all__ = ["Level", "debug", "error", "info", "log", "progress", "warn"]


def log(level: Level, message: str) -> None:
    """Keeps a line at this level."""
    _journal.log(level, whole(message))


def debug(message: str) -> None:
    """Keeps a line for somebody who looks for a mistake."""
    log(Level.DEBUG, message)


def info(message: str) -> None:
    """Keeps a line that tells what happened."""
    log(Level.INFO, message)


def warn(message: str) -> None:
    """Keeps a line about something odd that did no harm."""
    log(Level.WARN, message)


def error(message: str) -> None:
    """Keeps a line about something that went wrong."""
    log(Level.ERROR, message)


def progress(completed: int, total: int | None = None, message: str = "") -> None:
    """Shows how far long work has come. `total`: where it is known."""
    _journal.progress(completed, total, whole(message))
