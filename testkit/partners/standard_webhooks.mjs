// Messages of a running server against the npm library of Standard Webhooks.
//
// Usage: node standard_webhooks.mjs MESSAGES MODULES
//   MESSAGES  what standard_webhooks.py has written less than five minutes ago
//   MODULES   the folder in which `standardwebhooks` is installed

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [messagesPath, modules] = process.argv.slice(2);
const { Webhook, WebhookVerificationError } = createRequire(`${modules}/`)("standardwebhooks");
const messages = JSON.parse(readFileSync(messagesPath, "utf8"));
assert.ok(messages.length > 0, "there are messages");

const refuses = (secret, body, headers, what) =>
    assert.throws(() => new Webhook(secret).verify(body, headers), WebhookVerificationError, what);

for (const { type, headers, body, signed, others } of messages) {
    for (const secret of signed) {
        assert.equal(new Webhook(secret).verify(body, headers).type, type);
        refuses(secret, body.replace("timestamp", "timestamq"), headers, "another body");
        refuses(secret, body, { ...headers, "webhook-id": "msg_0" }, "another id");
        const later = String(Number(headers["webhook-timestamp"]) + 1);
        refuses(secret, body, { ...headers, "webhook-timestamp": later }, "another time");
    }
    for (const secret of others) refuses(secret, body, headers, "another secret");
}
console.log(`standardwebhooks for npm: ${messages.length} messages verified, changed ones refused`);
