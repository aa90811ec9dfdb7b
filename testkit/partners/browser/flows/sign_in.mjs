// A link signs a member in, once: the page with the button, the cookie, and the pages of those who
// are not signed in.

import assert from "node:assert/strict";

import { expectTexts, PHONE } from "../harness.mjs";

const LOOKS = [{ width: PHONE, scheme: "light" }, { width: PHONE, scheme: "dark" }, { width: 1280 }];

export async function run(harness) {
    for (const script of [true, false]) {
        await signsInOnce(harness, script);
        await refusesStrangers(harness, script);
    }
    await replacesForeignSession(harness);
}

// The one cookie with a session.
function sessionCookie(cookies) {
    const found = cookies.filter(({ name }) => name === "tollkeeper_session");
    assert.equal(found.length, 1);
    return found[0];
}

async function signsInOnce(harness, script) {
    const link = await harness.server.signInLink("acme", "bob");
    const visitor = harness.visitor();
    const view = await visitor.open(link, { script });
    await view.check(LOOKS);
    // To look at a link does not use it up.
    await view.go(link);
    await view.press("Sign in");
    assert.equal(view.path(), "/portal");
    const { httpOnly, sameSite, path } = sessionCookie(await view.page.context().cookies());
    assert.deepEqual([httpOnly, sameSite, path], [true, "Lax", "/portal"]);
    assert.equal(await view.page.evaluate(() => document.cookie), "", "no script reads the cookie");
    // The same browser is led on; another one learns that the link is used.
    await view.go(link);
    assert.equal(view.path(), "/portal");
    await view.close();
    const other = await harness.visitor().open(link, { script }, 410);
    await other.check(LOOKS);
    await expectTexts(other, "ask for a new one");
    await other.session.close();
    await visitor.close();
}

async function refusesStrangers(harness, script) {
    const visitor = harness.visitor();
    const view = await visitor.open("/portal", { script }, 401);
    await view.check(LOOKS);
    await expectTexts(view, "not signed in");
    await view.close();
    await visitor.close();
}

// A session that somebody else put into the browser is not the one that the member gets.
async function replacesForeignSession(harness) {
    const eve = await harness.signIn("acme", "eve");
    const planted = sessionCookie(eve.state.cookies);
    const visitor = harness.visitor();
    await (await visitor.context()).addCookies([planted]);
    const view = await visitor.open(await harness.server.signInLink("acme", "bob"));
    await view.press("Sign in");
    assert.notEqual(sessionCookie(await view.page.context().cookies()).value, planted.value);
    const session = await visitor.request("GET", "/portal/session");
    assert.equal((await session.json()).member, "bob");
    await visitor.close();
    await eve.close();
}
