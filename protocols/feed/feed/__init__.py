"""The protocol `feed`: reads RSS, Atom and JSON Feed, and captures what is new."""

from action_protocol import export

from .protocol import Feed

ProtocolApi = export(Feed)
