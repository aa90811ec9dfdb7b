// The operators' console: its sign-in, every page of it, and that nobody else opens one.

import assert from "node:assert/strict";

import { Crawl } from "../checks/crawl.mjs";
import { SCHEMES, WIDTHS } from "../harness.mjs";
import { PLATFORM_KEY } from "../server.mjs";

export const needs = ["/console", "input[type=password]"];

const LOOKS = WIDTHS.flatMap((width) => SCHEMES.map((scheme) => ({ width, scheme })));
const START = "/console";

export async function run(harness) {
    const operator = await signIn(harness, PLATFORM_KEY);
    const { pages, forms } = await new Crawl(operator, { start: START, looks: LOOKS }).run();
    assert.ok(pages.size > 1, "the console has pages");
    const strangers = [harness.visitor(), await harness.signIn("acme", "ada")];
    for (const stranger of strangers) {
        for (const path of [...pages.values()].filter((one) => one !== START)) {
            const { status, text } = await answer(stranger, "GET", path);
            assert.ok([303, 401, 403].includes(status), `${stranger.name} opens ${path}: ${status}`);
            assert.ok(!text.includes("Acme"), `${stranger.name} reads ${path}`);
        }
        for (const { path, fields } of forms.values()) {
            const { status } = await answer(stranger, "POST", path, { form: fields });
            assert.ok([401, 403].includes(status), `${stranger.name} sends ${path}: ${status}`);
        }
        await stranger.close();
    }
    await operator.close();
    return `${pages.size} pages, ${forms.size} forms`;
}

async function answer(session, method, path, options) {
    const response = await session.request(method, path, options);
    return { status: response.status(), text: await response.text() };
}

// A browser in which an operator is signed in. A wrong key is refused, with every check of its page.
async function signIn(harness, key) {
    const visitor = harness.visitor("an operator");
    const view = await visitor.open(START);
    await view.check(LOOKS);
    const send = async (secret) => {
        await view.page.locator("input[type=password]").fill(secret);
        await view.page.keyboard.press("Enter");
        await view.page.waitForLoadState("load");
    };
    view.watch.restart(401);
    await send(`${key}x`);
    assert.equal(await view.page.locator("input[type=password]").count(), 1, "a wrong key is refused");
    view.watch.restart(200);
    await send(key);
    assert.equal(await view.page.locator("input[type=password]").count(), 0, "the key signs in");
    return visitor;
}
