// Adding credits: the form shows the credits that the typed dollars buy, and opens a top-up, which
// the platform confirms. Script only adds the figure while somebody types.

import assert from "node:assert/strict";

const PAGE = "/portal/credits";

export const needs = [PAGE, "input[data-preview-micros]"];

// What is typed, and the credits that it buys; none if it is no sum of whole cents.
const AMOUNTS = [["25", "2,500,000"], ["12.34", "1,234,000"], ["5.0", "500,000"], ["5.001", ""], ["x", ""]];

export async function run(harness) {
    const ada = await harness.signIn("acme", "ada");
    const view = await ada.open(PAGE);
    const input = view.page.locator("input[data-preview-micros]");
    const shown = view.page.locator(`#${await input.getAttribute("data-preview-micros")}`);
    for (const [typed, credits] of AMOUNTS) {
        await input.fill(typed);
        const text = await shown.textContent();
        assert.ok(credits ? text.includes(credits) : !/[1-9]/.test(text), `${typed} shows "${text}"`);
    }
    await view.close();
    await ada.close();
}
