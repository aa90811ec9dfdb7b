// The chart with the keyboard: it is one stop of the Tab key, arrows go from day to day, and what
// it says is in the table. Without script the table alone has every figure.

import assert from "node:assert/strict";

export const needs = ["/portal", "[data-chart]"];

const PAGES = ["/portal", "/portal/usage"];
const KEYS = ["End", "ArrowLeft", "ArrowLeft", "ArrowRight", "Home"];

export async function run(harness) {
    const ada = await harness.signIn("acme", "ada");
    let charts = 0;
    for (const path of PAGES) {
        const view = await ada.open(path);
        for (const chart of await view.page.locator("[data-chart]").all()) {
            await readsDays(view, chart);
            charts += 1;
        }
        await view.close();
        await hasTable(await ada.open(path, { script: false }));
    }
    assert.ok(charts > 0, "there is a chart");
    await ada.close();
    return `${charts} charts`;
}

// Days stand in the table from the newest to the oldest.
async function readsDays({ page }, chart) {
    const rows = await chart.locator("[data-chart-rows] tr").evaluateAll((all) =>
        all.map((row) => [...row.cells].slice(0, 2).map((cell) => cell.textContent.trim())));
    const plot = chart.locator("[data-chart-plot]");
    assert.equal(await plot.getAttribute("tabindex"), "0");
    await plot.focus();
    let at = 0;
    for (const key of KEYS) {
        await page.keyboard.press(key);
        if (key === "Home") at = rows.length - 1;
        else if (key === "End") at = 0;
        else at = Math.min(Math.max(at + (key === "ArrowLeft" ? 1 : -1), 0), rows.length - 1);
        const said = await chart.locator("[data-chart-now]").textContent();
        for (const text of rows[at]) assert.ok(said.includes(text), `${key}: "${said}" lacks "${text}"`);
    }
}

async function hasTable(view) {
    const { page } = view;
    for (const summary of await page.locator("[data-chart] summary").all()) {
        await summary.focus();
        await page.keyboard.press("Enter");
        const table = page.locator("[data-chart] details[open] table").first();
        assert.ok(await table.isVisible(), "the table opens with the keyboard");
        assert.ok((await table.locator("caption").innerText()).trim(), "it has a caption");
        assert.equal(await table.locator("th:not([scope])").count(), 0, "its heads have a scope");
    }
    await view.close();
}
