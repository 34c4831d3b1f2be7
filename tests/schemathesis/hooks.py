"""What Schemathesis has to be told: a component is bytes, some of which begin like one."""

import schemathesis
from hypothesis import strategies

HEADER = b"\0asm\x0d\0\x01\0"

schemathesis.serializer.alias("application/wasm", "application/octet-stream")
schemathesis.openapi.media_type(
    "application/wasm", strategies.binary() | strategies.binary().map(lambda rest: HEADER + rest)
)
