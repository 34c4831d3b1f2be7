"""TCP connections, with TLS by the service, for what is not HTTP.

    with net.connect("mail.example.com", 587) as connection:
        connection.start_tls()
        connection.write(b"EHLO …\\r\\n")
"""

from dataclasses import dataclass
from typing import Annotated

from componentize_py_types import Err
from wit_world.imports import outbound
from wit_world.imports.outbound import ClientIdentity, TlsOptions

from .boundary import lowered
from .http import outbound_error
from .secrets import Secret
from .types import Doc

__all__ = ["ClientCertificate", "ClientIdentity", "Connection", "Tls", "TlsOptions", "connect"]


@dataclass
class ClientCertificate:
    chain: Annotated[str, Doc("The certificate and those above it (PEM), leaf first.")]
    key: Annotated[Secret, Doc("The private key (PEM), as a secret. The protocol does not see it.")]


@dataclass
class Tls:
    """How TLS differs from the usual."""

    extra_roots: Annotated[str | None, Doc("Certificates (PEM) of authorities to trust beside the well-known ones.")] = None
    server_name: Annotated[
        str | None, Doc("The name that the remote's certificate bears, where it is not the host that is connected to.")
    ] = None
    client_certificate: Annotated[ClientCertificate | None, Doc("A certificate that says who asks.")] = None

    def options(self) -> TlsOptions:
        """What a request or a connection takes for `tls`."""
        identity = self.client_certificate
        return TlsOptions(self.server_name, self.extra_roots, identity and ClientIdentity(identity.chain, identity.key), [])


class Connection:
    """A connection. Closed at the end of its `with`."""

    def __init__(self, raw: outbound.Connection):
        self._raw = raw

    def read(self, max_bytes: int = 65_536) -> bytes:
        """Waits for at least one byte. Empty: the remote has closed its side."""
        return _asked(self._raw.read, max_bytes)

    def write(self, data: bytes) -> None:
        """Returns when all bytes are handed to the system."""
        _asked(self._raw.write, data)

    def start_tls(self, options: TlsOptions | None = None) -> str | None:
        """For STARTTLS and its like. Gives the ALPN protocol, where one was agreed on."""
        return _asked(self._raw.start_tls, options or TlsOptions(None, None, None, []))

    def set_timeout(self, milliseconds: int) -> None:
        """For each further read and write."""
        self._raw.set_timeout(milliseconds)

    def close(self) -> None:
        """Closes it. A second time changes nothing."""
        if self._raw is not None:
            self._raw.__exit__(None, None, None)
            self._raw = None

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(host: str, port: int, tls: TlsOptions | None = None) -> Connection:
    """Connects, with TLS from the start where `tls` is given. Raises `http.OutboundError`."""
    return Connection(_asked(outbound.connect, host, port, tls))


def _asked(function, *arguments):
    try:
        return function(*lowered(arguments))
    except Err as error:
        raise outbound_error(error.value) from None
