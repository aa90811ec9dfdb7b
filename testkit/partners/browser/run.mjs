// The dashboard in a real browser: every flow, on a server of its own.
//
// Usage: node run.mjs TOLLKEEPER MODULES [FLOW…]
//   TOLLKEEPER  the program
//   MODULES     the folder in which playwright-core and axe-core are installed
//   FLOW        names of files in `flows`; all if none is given

import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { resolve } from "node:path";

import { Harness, startBrowser } from "./harness.mjs";
import { Report } from "./report.mjs";
import { fillSample } from "./sample.mjs";
import { Server } from "./server.mjs";

// Flows that run at a time. Each keeps a processor busy.
const AT_ONCE = 2;

// The longest flows begin first, so that none runs alone at the end.
const FIRST = ["all_pages", "other_states", "console", "all_forms", "all_forms_without_script"];

const [program, modules, ...wanted] = process.argv.slice(2);
const others = (await readdir(new URL("flows", import.meta.url))).map((file) => file.replace(/\.mjs$/, ""));
const names = [...new Set([...FIRST, ...others])].filter((name) => !wanted.length || wanted.includes(name));
assert.ok(wanted.every((name) => names.includes(name)), `there are only the flows ${others.join(", ")}`);
const report = new Report();
const started = await startBrowser(resolve(modules));
let failed = 0;

// Whether a page has what a flow needs. A flow of a page that does not exist yet is not run.
async function isThere(harness, [path, selector]) {
    const session = await harness.signIn("acme", "ada");
    const page = await (await session.context()).newPage();
    await page.goto(harness.url + path);
    const count = await page.locator(selector).count();
    await session.close();
    return count > 0;
}

// Each flow has a server of its own, so that none disturbs another.
async function runFlow(name) {
    const { run, needs } = await import(`./flows/${name}.mjs`);
    const begun = Date.now();
    const server = await Server.start(resolve(program));
    try {
        await fillSample(server);
        const harness = new Harness({ ...started, server, report });
        if (needs && !(await isThere(harness, needs))) {
            console.log(`browser: ${name} was not run, because ${needs[0]} has no ${needs[1]}`);
            return;
        }
        const note = await run(harness);
        const seconds = ((Date.now() - begun) / 1000).toFixed(1);
        console.log(`browser: ${name}, ${seconds} s${note ? `: ${note}` : ""}`);
    } catch (error) {
        failed += 1;
        console.log(`browser: ${name} failed\n${error.stack}`);
    } finally {
        await server.stop();
    }
}

const queue = [...names];
const lanes = Array.from({ length: AT_ONCE }, async () => {
    while (queue.length) await runFlow(queue.shift());
});
await Promise.all(lanes);
await started.browser.close();
report.print();
const problems = report.problems().length;
if (failed || problems) {
    console.log(`\nbrowser: ${failed} of ${names.length} flows failed, ${problems} problems of pages`);
    process.exit(1);
}
console.log(`browser: ${names.length} flows, no problem of a page`);
