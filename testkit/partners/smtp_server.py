"""A real SMTP server (aiosmtpd) that a test starts, scripts and reads.

    smtp_server.py [--tls CERT KEY] [--wrapped] [--user USER PASSWORD]

It prints one line of JSON: {"port": N}. Then it prints each mail that it accepted, as Python's own
parser reads it. It ends when its standard input ends.

What it answers is decided by the local part of the recipient or of the sender:

    refused550@…      RCPT: 550 5.1.1
    plain550@…        RCPT: 550 without an enhanced code
    relay554@…        RCPT: 554 5.7.1, which is about the client
    later451@…        RCPT: 451
    content554@…      after the content: 554 5.6.0
    missing554@…      after the content: 554 5.1.1, which is about the recipient
    content452@…      after the content: 452
    silent@…          RCPT: no answer at all
    lost@…            the mail is accepted, and the connection ends before the answer
    sender550@…       MAIL, as the sender: 550

A line on standard input decides for all mails: `all 451 4.3.0 Come back later`, `all silent`, or
`all` to decide by the addresses again. `hang up` closes all connections.
"""

import argparse
import asyncio
import email
import email.policy
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

RCPT = {
    "refused550": "550 5.1.1 No such user here",
    "plain550": "550 No such user here",
    "relay554": "554 5.7.1 Relay access denied",
    "later451": "451 4.7.1 Greylisted, come back later",
}
CONTENT = {
    "content554": "554 5.6.0 This looks like spam",
    "missing554": "554 5.1.1 No such user after all",
    "content452": "452 4.3.1 Out of space",
}
transports = set()
# What a test does to the server on purpose, such as ending a handshake, is no news.
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")


def local_part(address):
    return address.rsplit("@", 1)[0]


def say(value):
    print(json.dumps(value), flush=True)


class Handler:
    everything = None

    async def scripted(self):
        if self.everything == "silent":
            await asyncio.sleep(3600)
        return self.everything

    async def handle_MAIL(self, server, session, envelope, address, options):
        answer = await self.scripted()
        if answer is None and local_part(address) == "sender550":
            answer = "550 5.7.1 This sender is not allowed"
        if answer is not None:
            return answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = local_part(address)
        if name == "silent":
            await asyncio.sleep(3600)
        if name in RCPT:
            return RCPT[name]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        answer = CONTENT.get(local_part(envelope.rcpt_tos[0]))
        if answer is not None:
            return answer
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        bodies = {part.get_content_type(): part.get_content() for part in message.walk() if not part.is_multipart()}
        say(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "options": envelope.mail_options,
                "encrypted": session.ssl is not None or server.wrapped,
                "user": session.auth_data.login.decode() if session.authenticated else None,
                "connection": str(session.peer),
                "size": len(envelope.content),
                "headers": [[name, str(value)] for name, value in message.items()],
                "defects": [str(defect) for part in message.walk() for defect in part.defects],
                "text": bodies.get("text/plain"),
                "html": bodies.get("text/html"),
                "raw": envelope.content.decode("latin-1"),
            }
        )
        if local_part(envelope.rcpt_tos[0]) == "lost":
            server.transport.abort()
        return "250 2.0.0 Queued"


class Server(SMTP):
    wrapped = False

    def connection_made(self, transport):
        super().connection_made(transport)
        transports.add(transport)


async def control(handler):
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        words = line.strip().split(" ", 1)
        if words[0] == "all":
            handler.everything = words[1] if len(words) > 1 else None
        elif line.strip() == "hang up":
            for transport in transports:
                transport.abort()
            transports.clear()
        say({"control": line.strip()})


async def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tls", nargs=2)
    arguments.add_argument("--wrapped", action="store_true")
    arguments.add_argument("--user", nargs=2)
    arguments = arguments.parse_args()
    handler, context = Handler(), None
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*arguments.tls)

    def authenticate(server, session, envelope, mechanism, data):
        known = tuple(word.encode() for word in arguments.user or ())
        right = isinstance(data, LoginPassword) and (data.login, data.password) == known
        return AuthResult(success=right, handled=False, auth_data=data)

    def protocol():
        server = Server(
            handler,
            hostname="relay.test",
            enable_SMTPUTF8=True,
            tls_context=None if arguments.wrapped else context,
            authenticator=authenticate,
            auth_required=arguments.user is not None,
            auth_require_tls=False,
        )
        server.wrapped = arguments.wrapped
        return server

    loop = asyncio.get_running_loop()
    wrapping = context if arguments.wrapped else None
    listener = await loop.create_server(protocol, "127.0.0.1", 0, ssl=wrapping)
    say({"port": listener.sockets[0].getsockname()[1]})
    await control(handler)


asyncio.run(main())
