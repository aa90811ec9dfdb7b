// Every page that an admin and a member reach, with every check, in a workspace that is full. Then
// what a member must not reach.

import assert from "node:assert/strict";

import { Crawl } from "../checks/crawl.mjs";
import { expectTexts, SCHEMES, WIDTHS } from "../harness.mjs";
import { HOSTILE } from "../sample.mjs";

const ALL_LOOKS = WIDTHS.flatMap((width) => SCHEMES.map((scheme) => ({ width, scheme })));

export async function run(harness) {
    const [ada, bob] = [await harness.signIn("acme", "ada"), await harness.signIn("acme", "bob")];
    await showsNamesAsTheyAre(ada);
    const [admins, members] = await Promise.all([
        new Crawl(ada, { looks: ALL_LOOKS }).run(),
        new Crawl(bob, { looks: ALL_LOOKS }).run(),
    ]);
    await refusesFormsWithoutToken(ada, admins);
    await refusesFormsWithoutToken(bob, members);
    await keepsMembersOut(bob, admins, members);
    for (const session of [ada, bob]) await session.close();
    const forms = new Set([...admins.forms.keys(), ...members.forms.keys()]).size;
    return `${admins.pages.size} pages as admin, ${members.pages.size} as member, ${forms} forms, ` +
        `${admins.downloads.size} downloads`;
}

async function showsNamesAsTheyAre(ada) {
    const view = await ada.open("/portal");
    await expectTexts(view, HOSTILE.markup);
    await view.close();
}

// Another site cannot know the token, so a form without it, or with another, is refused.
async function refusesFormsWithoutToken(session, { forms }) {
    for (const { path, fields } of forms.values()) {
        const { token, ...others } = fields;
        for (const form of [others, { ...others, token: "" }, { ...others, token: token.replace(/./g, "0") }]) {
            const response = await session.request("POST", path, { form });
            assert.equal(response.status(), 403, `${path} with ${JSON.stringify(form)}`);
        }
    }
}

// Pages and forms that only an admin finds are closed to a member, also with a token of their own.
async function keepsMembersOut(bob, admins, members) {
    for (const [kind, path] of admins.pages) {
        if (members.pages.has(kind)) continue;
        const response = await bob.request("GET", path);
        assert.equal(response.status(), 403, `a member opens ${path}`);
    }
    const [{ fields: { token } }] = members.forms.values();
    for (const [kind, { path, fields }] of admins.forms) {
        if (members.forms.has(kind)) continue;
        const response = await bob.request("POST", path, { form: { ...fields, token } });
        assert.equal(response.status(), 403, `a member sends ${path}`);
    }
}
