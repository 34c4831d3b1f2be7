"""Secrets that the config names.

In the config each is an opaque handle. Put it where the value belongs (a header's value, the
query, user or password of `http.basic_auth`, the key of a client certificate), and the service puts
the value in its place on the way out. Most protocols need nothing else and never see the value.
"""

from componentize_py_types import Err
from wit_world.imports import secrets as _secrets
from wit_world.imports.secrets import KeyEncoding, SecretError

from .boundary import lowered
from .failure import InvalidConfig

__all__ = ["KeyEncoding", "Secret", "SecretError"]


class Secret(str):
    """A property of a config that may be a secret: its handle, or plain text where the action gives that.

    Its schema says `writeOnly`, without which the service refuses secrets there.
    """

    __slots__ = ()

    def reveal(self) -> bytes:
        """The value, for protocols that must speak it themselves. The action has to allow it.

        Raises `InvalidConfig` where it does not, or where this is no secret's handle.
        """
        return _asked(_secrets.reveal, self)

    def hmac_sha256(self, message: bytes, *, encoding: KeyEncoding = KeyEncoding.RAW, prefix: str = "") -> bytes:
        """HMAC-SHA-256 keyed with the secret, without seeing it. `prefix` goes before the key."""
        return _asked(_secrets.hmac_sha256, self, encoding, prefix, message)

    def __repr__(self) -> str:
        # What stands here may be plain text, and representations end in logs.
        return "Secret(…)"


def _asked(function, *arguments) -> bytes:
    try:
        return function(*lowered(arguments))
    except Err as error:
        if error.value == SecretError.NOT_GRANTED:
            raise InvalidConfig("the action does not let its protocol see this secret; see grants.reveal") from None
        raise InvalidConfig("no secret has this handle") from None
