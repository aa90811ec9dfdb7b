// Signing out: one browser, or all members of the workspace, which an admin may do.

import assert from "node:assert/strict";

import { expectTexts, PHONE } from "../harness.mjs";

const LOOKS = [{ width: PHONE, scheme: "dark" }, { width: 1280, scheme: "light" }];

export async function run(harness) {
    for (const script of [true, false]) {
        const bob = await harness.signIn("acme", "bob");
        const view = await bob.open("/portal", { script });
        await view.press("Sign out");
        await expectTexts(view, "signed out");
        await view.check(LOOKS);
        // The page before is not shown again from a cache.
        view.watch.restart(401);
        await view.page.goBack();
        await expectTexts(view, "not signed in");
        assert.equal((await bob.request("GET", "/portal/session")).status(), 401);
        await bob.close();
        await endsAllSessions(harness, script);
    }
}

async function endsAllSessions(harness, script) {
    const [lin, bob] = [await harness.signIn("acme", "lin"), await harness.signIn("acme", "bob")];
    const bobs = await bob.open("/portal", { script });
    assert.ok(!(await bobs.text()).includes("all members"), "a member cannot sign out others");
    const view = await findSignOutAll(lin, script);
    await view.press("Sign out all members");
    await confirmIfAsked(view);
    await expectTexts(view, "signed out");
    await view.check(LOOKS);
    await bobs.go("/portal", 401);
    assert.equal((await lin.request("GET", "/portal/session")).status(), 401);
    for (const session of [lin, bob]) await session.close();
}

// The button is on the first page, or on the page of the team.
async function findSignOutAll(admin, script) {
    const view = await admin.open("/portal", { script });
    const button = view.page.getByRole("button", { name: "Sign out all members", exact: true });
    if ((await button.count()) === 0) await view.go("/portal/team");
    return view;
}

// A page that asks once more has the same button.
async function confirmIfAsked(view) {
    const button = view.page.getByRole("button", { name: "Sign out all members", exact: true });
    if ((await button.count()) > 0) await view.press("Sign out all members");
}
