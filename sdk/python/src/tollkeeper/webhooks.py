"""Verifies messages that the server sends to webhook endpoints, as Standard Webhooks says.

A message is signed with HMAC-SHA-256 over its id, its time and its body as it arrived. For a day
after a rotation two secrets sign, so one message has two signatures; one that fits is enough.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from typing_extensions import TypedDict

from .errors import WebhookVerificationError

TOLERANCE_SECONDS = 300
PREFIX = "whsec_"


class WebhookMessage(TypedDict):
    """What happened. Types and members of `data` that are not known are to be ignored."""

    type: str
    timestamp: str
    data: dict[str, Any]


def verify_webhook(
    body: bytes | str,
    headers: Mapping[str, str],
    secrets: str | Iterable[str],
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> WebhookMessage:
    """Returns the message, or raises a `WebhookVerificationError`.

    `body` is as it arrived, before any parser. `secrets` is one secret or several, of which one
    must fit. `now` is the present time in seconds since 1970.
    """
    raw = body.encode() if isinstance(body, str) else body
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        identity, sent_at = lower["webhook-id"], lower["webhook-timestamp"]
        signatures = lower["webhook-signature"].split(" ")
    except KeyError as missing:
        raise WebhookVerificationError(f"the header {missing} is missing") from None
    if not (sent_at.isascii() and sent_at.isdecimal()):
        raise WebhookVerificationError("the time is not a number")
    present = time.time() if now is None else now
    if abs(present - int(sent_at)) > tolerance_seconds:
        raise WebhookVerificationError("the message is too old, or of the future")
    signed = f"{identity}.{sent_at}.".encode() + raw
    given = [one.removeprefix("v1,").encode() for one in signatures if one.startswith("v1,")]
    keys = [_key(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    expected = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()) for key in keys]
    # Every pair is compared, so that the time says nothing.
    matches = [hmac.compare_digest(one, other) for one in expected for other in given]
    if not any(matches):
        raise WebhookVerificationError("no signature fits the message")
    return _message(raw)


def _message(raw: bytes) -> WebhookMessage:
    try:
        message: WebhookMessage = json.loads(raw)
    except ValueError as error:
        raise WebhookVerificationError("the message is not JSON") from error
    return message


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError as error:
        raise ValueError("the secret is not Base64") from error
    if not key:
        raise ValueError("the secret is empty")
    return key
