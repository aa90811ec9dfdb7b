// A charge by the API is seen on open pages within a second, by one connection of the browser; a
// page without script shows the same figures.

import assert from "node:assert/strict";

import { until } from "../server.mjs";

export const needs = ["/portal", "[data-live]"];

const FIGURES = ["available_usd", "available"];
const MILLIS_MAX = 1_000;

const figures = (view) =>
    view.page.evaluate(
        (names) => names.map((name) => document.querySelector(`[data-live=${name}]`)?.textContent), FIGURES);

export async function run(harness) {
    const ada = await harness.signIn("acme", "ada");
    let streams = 0;
    let isOpen = false;
    const context = await ada.context();
    context.on("request", (request) => (streams += request.resourceType() === "eventsource" ? 1 : 0));
    context.on("response", (response) => (isOpen ||= response.request().resourceType() === "eventsource"));
    const tabs = [await ada.open("/portal"), await ada.open("/portal")];
    const before = await figures(tabs[0]);
    assert.ok(before.every(Boolean), "the page has the live figures");
    await until("stream", () => isOpen, 5);

    const begun = Date.now();
    await harness.server.move("/v1/workspaces/acme/charges", { operation: "virtual_try_on", worker: "studio-1" });
    for (const tab of tabs) {
        await until("new balance", async () => (await figures(tab))[0] !== before[0], MILLIS_MAX / 1000);
    }
    const millis = Date.now() - begun;
    assert.ok(millis <= MILLIS_MAX, `it took ${millis} ms`);
    const live = await figures(tabs[0]);
    const still = await ada.open("/portal", { script: false });
    assert.deepEqual(live, await figures(still), "as the server writes them");
    assert.deepEqual(live, await figures(tabs[1]), "in each tab");
    assert.equal(streams, 1, "one connection of the browser");
    await announces(tabs[0]);
    for (const view of [...tabs, still]) await view.close();
    await ada.close();
    return `seen after ${millis} ms`;
}

// A screen reader is informed too, politely.
async function announces({ page }) {
    const region = page.locator("[data-live-say]");
    assert.equal(await region.count(), 1, "the page has a region for screen readers");
    await until("announcement", async () => (await region.textContent()).trim());
    const isPolite = await region.evaluate((one) => one.getAttribute("aria-live") ?? one.getAttribute("role"));
    assert.ok(["polite", "status"].includes(isPolite), `it is ${isPolite}`);
}
