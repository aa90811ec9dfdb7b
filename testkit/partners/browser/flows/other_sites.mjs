// What a page of another site can do in the browser of a member who is signed in: nothing.
//
// To the browser, localhost and 127.0.0.1 are different sites.

import assert from "node:assert/strict";
import { createServer } from "node:http";

// A site that shows one page.
async function startOtherSite() {
    const site = { body: "" };
    const server = createServer((_, response) => {
        response.setHeader("content-type", "text/html");
        response.end(`<!doctype html><link rel="icon" href="data:,">${site.body}`);
    });
    await new Promise((resolve) => server.listen(0, "localhost", resolve));
    site.url = `http://localhost:${server.address().port}/`;
    site.stop = () => server.close();
    return site;
}

export async function run(harness) {
    const site = await startOtherSite();
    const bob = await harness.signIn("acme", "bob");
    const page = await (await bob.context()).newPage();
    try {
        await isNotFramed(harness, site, page);
        await takesNoForm(harness, site, bob, page);
    } finally {
        await bob.close();
        site.stop();
    }
}

async function isNotFramed(harness, site, page) {
    for (const path of ["/portal", "/portal/sign-in/tk_link_x", "/mail/confirm/acme/x?token=x"]) {
        const refused = page.waitForEvent("console", (message) => message.text().includes("frame-ancestors"));
        site.body = `<iframe src="${harness.url}${path}"></iframe>`;
        await page.goto(site.url);
        await refused;
    }
}

// The cookie does not come along with a form of another site.
async function takesNoForm(harness, site, bob, page) {
    for (const path of ["/portal/sign-out", "/portal/sign-out-all"]) {
        site.body = `<form method="post" action="${harness.url}${path}"><button>Win a prize</button></form>`;
        await page.goto(site.url);
        const answer = page.waitForResponse(`${harness.url}${path}`);
        await page.getByRole("button").click();
        assert.equal((await answer).status(), 401);
        assert.equal((await bob.request("GET", "/portal/session")).status(), 200, "the session goes on");
    }
}
