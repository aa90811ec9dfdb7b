// Messages that a server sends, and messages that somebody changed.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { after, test } from "node:test";
import { verifyWebhook, WebhookVerificationError, type VerifyOptions, type WebhookHeaders } from "tollkeeper";
import { platform, start, workspaceOf } from "./support.js";

const OTHER_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

interface Message {
    body: Buffer;
    headers: IncomingHttpHeaders;
}

/** Accepts messages. `next` waits for one. */
async function receiver() {
    const messages: Message[] = [];
    const waiting: ((message: Message) => void)[] = [];
    const server = createServer(async (request, response) => {
        const parts: Buffer[] = [];
        for await (const part of request) parts.push(part as Buffer);
        const message = { body: Buffer.concat(parts), headers: request.headers };
        const take = waiting.shift();
        if (take) take(message);
        else messages.push(message);
        response.writeHead(204).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    after(() => {
        server.close();
        server.closeAllConnections();
    });
    const next = () => {
        const message = messages.shift();
        return message ? Promise.resolve(message) : new Promise<Message>((resolve) => waiting.push(resolve));
    };
    return { port: (server.address() as { port: number }).port, next };
}

const { port, next } = await receiver();
const settings = { WEBHOOKS_ALLOW_HTTP: "true", WEBHOOKS_ALLOW_PRIVATE: "true", WEBHOOKS_PORTS: String(port) };
const client = platform(await start(settings));
const endpoint = await client.webhookEndpoints.create({
    url: `http://127.0.0.1:${port}/hook`,
    kinds: ["grant.created"],
});
const first = endpoint.secret ?? "";

const refuses = (body: string | Buffer, headers: WebhookHeaders, secrets: string | string[], options?: VerifyOptions) =>
    assert.throws(() => verifyWebhook(body, headers, secrets, options), WebhookVerificationError);

test("messages of a server are verified, and changed ones refused", async () => {
    await client.webhookEndpoints.ping(endpoint.id);
    const ping = await next();
    assert.equal(verifyWebhook(ping.body, ping.headers, first).type, "ping");
    const workspace = await workspaceOf(client);
    const granted = await next();
    const { type, data } = verifyWebhook(granted.body.toString("utf8"), granted.headers, [OTHER_SECRET, first]);
    assert.deepEqual([type, data["workspace"], data["amount"]], ["grant.created", workspace, 1_000_000]);
    const { body, headers } = granted;
    const [sentAt, signature] = [Number(headers["webhook-timestamp"]), String(headers["webhook-signature"])];
    refuses(body, headers, OTHER_SECRET);
    refuses(body, headers, []);
    refuses(Buffer.concat([body, Buffer.from(" ")]), headers, first);
    refuses(body, { ...headers, "webhook-id": "msg_0" }, first);
    refuses(body, { ...headers, "webhook-timestamp": String(sentAt + 1) }, first);
    refuses(body, { ...headers, "webhook-timestamp": "²" }, first);
    refuses(body, { ...headers, "webhook-signature": "v1," }, first);
    refuses(body, { ...headers, "webhook-signature": signature.replace("v1,", "v2,") }, first);
    refuses(body, {}, first);
    for (const now of [sentAt - 300, sentAt + 300]) verifyWebhook(body, headers, first, { now });
    for (const now of [sentAt - 301, sentAt + 301, NaN]) refuses(body, headers, first, { now });
    verifyWebhook(body, headers, first, { now: sentAt + 900, toleranceSeconds: 900 });
});

test("while an old and a new secret sign, either fits", async () => {
    const { secret } = await client.webhookEndpoints.rotateSecret(endpoint.id);
    await client.webhookEndpoints.ping(endpoint.id);
    const { body, headers } = await next();
    assert.equal(String(headers["webhook-signature"]).split(" ").length, 2);
    for (const one of [first, secret ?? ""]) assert.equal(verifyWebhook(body, headers, one).type, "ping");
    refuses(body, headers, OTHER_SECRET);
});

test("headers may be written in any case, and a body must be JSON", () => {
    const secret = Buffer.from("key").toString("base64");
    const sign = (body: string) => {
        const signature = createHmac("sha256", "key").update(`msg_1.1000.${body}`).digest("base64");
        const all = `v1,AAAA v1a,x v1,${signature}`;
        return { "Webhook-Id": "msg_1", "WEBHOOK-TIMESTAMP": "1000", "webhook-signature": all };
    };
    const body = '{"type": "of_a_newer_server", "timestamp": "", "data": {"new": [1]}, "more": "é"}';
    for (const headers of [sign(body), new Headers(sign(body))]) {
        assert.deepEqual(verifyWebhook(body, headers, `whsec_${secret}`, { now: 1000 }).data, { new: [1] });
    }
    refuses("not JSON", sign("not JSON"), secret, { now: 1000 });
    for (const wrong of ["whsec_", "whsec_ä", "whsec_?"]) {
        assert.throws(() => verifyWebhook(body, sign(body), wrong, { now: 1000 }), /the secret/);
    }
});
