// The pages behind the links in mails: to confirm an address, and to stop the mails of a topic.

import assert from "node:assert/strict";

import { expectTexts, PHONE } from "../harness.mjs";

const ALERTS = "/v1/workspaces/acme/alerts";
const LOOKS = [{ width: PHONE, scheme: "light" }, { width: PHONE, scheme: "dark" }, { width: 1280 }];

export async function run(harness) {
    const { server } = harness;
    for (const [address, script] of [["finance@example.com", true], ["books@example.com", false]]) {
        const typed = ["ada@example.com", "finance@example.com", "books@example.com"];
        await server.call("PUT", ALERTS, { thresholds: [{ amount_usd: "5.00" }], emails: typed });
        await confirms(harness, address, script);
        await unsubscribes(harness, address, script);
    }
}

const recipient = async ({ server }, address) =>
    (await server.call("GET", ALERTS)).emails.find(({ email }) => email === address);

async function confirms(harness, address, script) {
    const link = await harness.server.linkInMail(address, "/mail/confirm/");
    const visitor = harness.visitor();
    const view = await visitor.open(link, { script });
    await expectTexts(view, address);
    await view.check(LOOKS);
    assert.equal((await recipient(harness, address)).status, "unconfirmed", "to look changes nothing");
    await view.press("Confirm");
    await expectTexts(view, "Your address is confirmed");
    await view.check(LOOKS);
    assert.equal((await recipient(harness, address)).status, "confirmed");
    await view.go(`${link}x`, 404);
    await view.check(LOOKS);
    await view.close();
    await visitor.close();
}

async function unsubscribes(harness, address, script) {
    // A top-up is mailed to every recipient.
    const { id } = await harness.server.move("/v1/workspaces/acme/top-ups", { amount_usd: "30.00" });
    await harness.server.call("POST", `/v1/workspaces/acme/top-ups/${id}/confirm`);
    const link = await harness.server.linkInMail(address, "/mail/unsubscribe/");
    const topic = link.match(/([a-z_.]+)\?/)[1];
    const visitor = harness.visitor();
    const view = await visitor.open(link, { script });
    await expectTexts(view, address);
    await view.check(LOOKS);
    assert.deepEqual((await recipient(harness, address)).muted, [], "to look changes nothing");
    await view.press("Unsubscribe");
    await expectTexts(view, "You are unsubscribed");
    await view.check(LOOKS);
    assert.deepEqual((await recipient(harness, address)).muted, [topic]);
    await view.close();
    await visitor.close();
}
