"""Failures: one exception for each kind, with the advice that it usually carries."""

from typing import Any

from wit_world.imports import model
from wit_world.imports.model import FailureKind

from .boundary import lowered, to_json


class Advice:
    """What the service should do after a failure."""

    GIVE_UP = model.Advice_GiveUp()
    RETRY = model.Advice_Retry()
    """By the action's own schedule."""
    IN_DOUBT = model.Advice_InDoubt()
    """It may or may not have taken effect."""

    @staticmethod
    def retry_after(milliseconds: int) -> model.Advice_RetryAfter:
        """Not before this many milliseconds; at most what the contract can carry, 49 days."""
        return model.Advice_RetryAfter(min(max(milliseconds, 0), 2**32 - 1))


class Failure(Exception):
    """Why an execution did not succeed. Raise one of its kinds."""

    kind = FailureKind.INTERNAL
    usual_advice: model.Advice = Advice.GIVE_UP

    def __init__(self, message: str, *, advice: model.Advice | None = None, details: Any = None):
        """`details` is for a program to read: anything that JSON can hold."""
        super().__init__(message)
        self.message = message
        self.advice = advice or self.usual_advice
        self.details = details

    def to_wit(self) -> model.Failure:
        """As the contract has it."""
        details = None if self.details is None else to_json(self.details)
        return lowered(model.Failure(self.kind, self.message, self.advice, details))


class InvalidConfig(Failure):
    """The config cannot work."""

    kind = FailureKind.INVALID_CONFIG


class InvalidInput(Failure):
    """The input cannot be handled."""

    kind = FailureKind.INVALID_INPUT


class Unauthenticated(Failure):
    """The remote does not know or does not admit us."""

    kind = FailureKind.UNAUTHENTICATED


class Rejected(Failure):
    """The remote refused: a repeat would be refused too."""

    kind = FailureKind.REJECTED


class RateLimited(Failure):
    """The remote asks us to slow down."""

    kind = FailureKind.RATE_LIMITED
    usual_advice = Advice.RETRY


class Unavailable(Failure):
    """The remote could not be reached or could not answer."""

    kind = FailureKind.UNAVAILABLE
    usual_advice = Advice.RETRY


class BadResponse(Failure):
    """The remote answered something that makes no sense."""

    kind = FailureKind.BAD_RESPONSE


class Internal(Failure):
    """A defect of the protocol itself. Every other exception that escapes becomes one."""
