// The operators' console: its sign-in, every page and form of it, a workspace as its admins see it,
// and that nobody else opens a page of it.

import assert from "node:assert/strict";

import { Crawl } from "../checks/crawl.mjs";
import { sendForms } from "../checks/forms.mjs";
import { expectTexts, SCHEMES, WIDTHS } from "../harness.mjs";
import { PLATFORM_KEY } from "../server.mjs";

const LOOKS = WIDTHS.flatMap((width) => SCHEMES.map((scheme) => ({ width, scheme })));
const START = "/console";
// These end the session.
const LEFT_OUT = /^\/console\/sign-out/;

export async function run(harness) {
    const operator = await signIn(harness, PLATFORM_KEY);
    const { pages, forms } = await new Crawl(operator, { start: START, looks: LOOKS }).run();
    assert.ok(pages.size > 8, `the console has ${pages.size} pages`);
    await seesAsAdmin(operator);
    const wanted = [...forms.values()].filter(({ path }) => !LEFT_OUT.test(path) && !path.endsWith("/view"));
    const sent = await sendForms(operator, wanted);
    await keepsOthersOut(harness, pages, forms);
    await operator.close();
    return `${pages.size} pages, ${wanted.length} forms, sent ${sent} times`;
}

// The pages of a workspace, without a form that changes something.
async function seesAsAdmin(operator) {
    for (const script of [true, false]) {
        const view = await operator.open("/console/workspaces/acme", { script });
        await view.press("See it as its admins do");
        assert.equal(view.path(), "/portal");
        await expectTexts(view, "as its admins do", "Back to the console");
        await view.check(LOOKS);
        for (const path of ["/portal/credits", "/portal/team"]) {
            await view.go(path);
            assert.equal(await view.page.locator("form[method=post]:visible").count(), 0, `${path} has a form`);
            await view.check();
        }
        await view.close();
    }
}

async function keepsOthersOut(harness, pages, forms) {
    for (const stranger of [harness.visitor(), await harness.signIn("acme", "ada")]) {
        for (const path of [...pages.values()].filter((one) => one !== START)) {
            const { status, text } = await answer(stranger, "GET", path);
            assert.equal(status, 401, `${stranger.name} opens ${path}`);
            assert.ok(!text.includes("Acme"), `${stranger.name} reads ${path}`);
        }
        for (const { path, fields } of forms.values()) {
            const { status } = await answer(stranger, "POST", path, { form: fields });
            assert.equal(status, 401, `${stranger.name} sends ${path}`);
        }
        await stranger.close();
    }
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
    await view.page.getByLabel("Your name").fill("ada");
    const send = async (secret, status) => {
        await view.page.locator("input[type=password]").fill(secret);
        await view.leave(() => view.page.keyboard.press("Enter"), status);
    };
    await send(`${key}x`, 422);
    assert.equal(await view.page.getByLabel("Your name").inputValue(), "ada", "the name is kept");
    assert.equal(await view.page.locator("input[type=password]").inputValue(), "", "the key is not");
    await view.check(LOOKS);
    await send(key, 200);
    await expectTexts(view, "Signed in as ada");
    const state = await view.page.context().storageState();
    await view.close();
    await visitor.close();
    visitor.state = state;
    return visitor;
}
