"""Messages that a server sends, and messages that somebody changed."""

import base64
import hashlib
import hmac

import pytest
from standard_webhooks import OTHER_SECRET, sent_messages

from tollkeeper import WebhookVerificationError, verify_webhook


@pytest.fixture(scope="module")
def messages(program):
    return sent_messages(program)


def refuses(body, headers, secrets, **options):
    with pytest.raises(WebhookVerificationError):
        verify_webhook(body, headers, secrets, **options)


def test_messages_of_a_server_are_verified(messages):
    assert [len(message["signed"]) for message in messages] == [1, 1, 2, 2]
    for message in messages:
        for secret in [*message["signed"], [OTHER_SECRET, message["signed"][0]]]:
            verified = verify_webhook(message["body"].encode(), message["headers"], secret)
            assert verified["type"] == message["type"]


def test_changed_messages_are_refused(messages):
    for message in messages:
        body, headers, secret = message["body"], message["headers"], message["signed"][0]
        at = int(headers["webhook-timestamp"])
        refuses(body, headers, OTHER_SECRET)
        refuses(body, headers, [])
        refuses(body + " ", headers, secret)
        refuses(body, {**headers, "webhook-id": "msg_0"}, secret)
        refuses(body, {**headers, "webhook-timestamp": str(at + 1)}, secret)
        refuses(body, {**headers, "webhook-timestamp": "²"}, secret)
        refuses(body, {**headers, "webhook-signature": "v1,"}, secret)
        refuses(body, {**headers, "webhook-signature": headers["webhook-signature"].replace("v1,", "v2,")}, secret)
        refuses(body, {}, secret)


def test_the_time_may_be_five_minutes_away(messages):
    body, headers, secret = messages[0]["body"], messages[0]["headers"], messages[0]["signed"][0]
    at = int(headers["webhook-timestamp"])
    for now in (at - 300, at + 300):
        verify_webhook(body, headers, secret, now=now)
    for now in (at - 301, at + 301):
        refuses(body, headers, secret, now=now)
    verify_webhook(body, headers, secret, now=at + 900, tolerance_seconds=900)


def test_headers_may_be_written_in_any_case_and_a_body_must_be_json():
    def sign(body):
        digest = hmac.new(b"key", b"msg_1.1000." + body, hashlib.sha256).digest()
        signature = "v1,AAAA v1a,x v1," + base64.b64encode(digest).decode()
        return {"Webhook-Id": "msg_1", "WEBHOOK-TIMESTAMP": "1000", "webhook-signature": signature}

    secret = base64.b64encode(b"key").decode()
    body = '{"type": "of_a_newer_server", "timestamp": "", "data": {"new": [1]}, "more": "é"}'.encode()
    assert verify_webhook(body, sign(body), "whsec_" + secret, now=1000)["data"] == {"new": [1]}
    refuses(b"not JSON", sign(b"not JSON"), secret, now=1000)
    for wrong in ("whsec_", "whsec_ä", "whsec_?"):
        with pytest.raises(ValueError, match="the secret"):
            verify_webhook(body, sign(body), wrong, now=1000)
