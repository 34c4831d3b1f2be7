"""An SMTP server on three free ports of this machine: in the clear, with STARTTLS, with TLS from the first byte.

Usage: smtp_server.py FOLDER USER PASSWORD. The folder holds ca.pem, server.pem and server.key. It prints `ready` and
the ports, and adds each mail that it takes to mails.jsonl as a line of JSON.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

folder, user, password = sys.argv[1:4]


def context(for_known_clients):
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")
    if for_known_clients:
        made.load_verify_locations(f"{folder}/ca.pem")
        made.verify_mode = ssl.CERT_REQUIRED
    return made


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 there is no such mailbox"
        if address.startswith("later@"):
            return "451 4.7.1 greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server, session, envelope):
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "content": envelope.content.decode("utf-8", "surrogateescape"),
            "user": session.auth_data and session.auth_data.decode(),
        }
        with open(f"{folder}/mails.jsonl", "a", encoding="utf-8") as mails:
            mails.write(json.dumps(mail) + "\n")
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, given):
    right = (given.login, given.password) == (user.encode(), password.encode())
    return AuthResult(success=right, handled=False, auth_data=given.login if right else None)


async def serve():
    loop = asyncio.get_running_loop()
    ports = []
    known = {"authenticator": authenticate, "hostname": "mail.test"}
    for options, tls in [
        ({"auth_require_tls": False}, None),
        ({"tls_context": context(False), "require_starttls": True, "auth_required": True, "auth_exclude_mechanism": ["PLAIN"]}, None),
        ({"auth_require_tls": False, "auth_required": True}, context(True)),
    ]:
        server = await loop.create_server(lambda options=options: SMTP(Handler(), loop=loop, **known, **options), "127.0.0.1", 0, ssl=tls)
        ports.append(str(server.sockets[0].getsockname()[1]))
    print("ready", *ports, flush=True)
    await asyncio.Event().wait()


asyncio.run(serve())
