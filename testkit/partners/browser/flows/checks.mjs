// The checks themselves: a page with one fault of every kind is reported with each of them, and a
// page without a fault is not reported.

import assert from "node:assert/strict";
import { createServer } from "node:http";

import { Crawl } from "../checks/crawl.mjs";
import { sendForms } from "../checks/forms.mjs";
import { Harness } from "../harness.mjs";
import { Report } from "../report.mjs";

const HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; " +
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
};

const STYLE = `
:root { color-scheme: light dark; }
body { margin: 0; font: 1rem sans-serif; }
header a, nav a, main > a, button { display: inline-flex; align-items: center; min-width: 44px; min-height: 44px; }
.skip { position: absolute; inset-block-start: -9rem; }
.skip:focus { inset-block-start: 0; }
.wide { width: 700px; }
.far { position: absolute; left: 380px; width: 100px; }
.narrow { width: 30px; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
.scroll td { min-width: 500px; }
.cut { width: 40px; overflow: hidden; white-space: nowrap; }
main > a.small { display: inline-block; min-height: 0; min-width: 0; }
.plain:focus { outline: none; }
@media (prefers-color-scheme: dark) { body { background: black; color: white; } }
@media print { body { background: white; color: black; } nav { display: none; } }
.bar { position: fixed; inset-block-end: 0; block-size: 60px; inline-size: 100%; background: Canvas; z-index: 2; }
.under { position: fixed; inset-block-end: 0; }
.always { display: block !important; }
.white { color: white !important; }
.pale { color: #bbb; background: #fff; }`;

const HEAD = `<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css">`;

const GOOD = `<!doctype html><html lang="en"><head><title>Good</title>${HEAD}</head><body>
<header><a class="skip" href="#main">Skip to content</a>
<nav><a href="/portal">One</a> <a href="/portal?page=2">Two</a></nav></header>
<main id="main"><h1>Good</h1><p>A sentence with <a href="/portal">a link</a> in it.</p>
<form method="post" action="/out"><input type="hidden" name="token" value="x"><button>Sign out</button></form>
</main></body></html>`;

const BAD = `<!doctype html><html><head><title></title>${HEAD}
<script src="/throws.js"></script><script>let inline;</script></head><body>
<nav class="always"><a href="/portal">One</a> <a href="http://other.example:1/">Two</a>
<a class="far" href="/portal" aria-current="page">Far</a></nav>
<main class="white"><h1>Bad</h1><h1>undefined</h1><p style="color: red">a</p>
<img src="http://other.example:1/x"><img src="/missing">
<p class="narrow">broken</p><section></section><details><summary>More</summary><table><tr><td>a</table></details>
<div class="scroll" tabindex="0"><table><tr><td>a<td>b</table></div><p class="wide">wide</p><p class="cut">a text that is cut off</p><p class="pale">pale</p>
<a class="small" href="/portal">Small</a> <a class="plain" href="/portal">Plain</a>
<a href="/portal" tabindex="1">Jumps</a> <a href="/figures.csv" download>Figures</a>
<form method="post" action="/out"><input type="hidden" name="a" value="b"></form>
<form method="post" action="/field"><input type="hidden" name="token" value="b">
<input name="c" aria-label="C" aria-invalid="true"><button>Send</button></form></main>
<a class="under" href="/portal">Under</a><div class="bar"><a href="/portal">Bar</a></div></body></html>`;

const EXPECTED = [
    "status 500, not 200",
    "the policy lacks frame-ancestors 'none'",
    "the policy permits 'unsafe-…'",
    "cache-control is undefined",
    "bytes with its files, not 100000",
    "an error of a script: thrown",
    "the console says:",
    "a request to another host: http://other.example:1/x",
    "a request failed",
    "status 404 of /missing",
    "inline style: <p style",
    "inline script: <script>",
    "a text that no person wrote: undefined",
    "no language",
    "no title",
    "2 elements h1",
    "a form without a button",
    "a form without a token: /out",
    "no banner says what is wrong",
    "no text beside input[name=c]",
    "the input is lost: input[name=c]",
    "the page is 7",
    "at 320 pixels, the page is 7",
    "at 640 pixels, the page is 7",
    "text is cut off: p.cut",
    "on paper, the text is pale",
    "on paper, there is nav",
    "on paper, there is an empty section",
    "on paper, rows are hidden: table",
    "on paper, a table is cut off: table",
    "the present page is out of sight in the navigation: a.far",
    "a word is broken: broken in p.narrow",
    "on a phone, a table does not fit: table",
    `a.small "Small" is`,
    "focus is not visible: a.plain",
    "focus is covered: a.under",
    `the Tab key does not reach a "Jumps"`,
    "the first stop is no link that skips",
    "axe html-has-lang",
    "axe image-alt",
    "axe color-contrast",
    `without script, there is no link "Added"`,
    "/figures.csv does not come as a file",
    "a formula in /figures.csv: =1+1",
    "a formula in /figures.csv: -2+3",
];

const THROWS = `addEventListener("load", () => {
    const link = document.createElement("a");
    link.href = "/added";
    link.textContent = "Added";
    document.querySelector("p").append(link);
    throw Error("thrown");
});`;

const files = {
    "/style.css": ["text/css", STYLE],
    "/throws.js": ["text/javascript", THROWS],
    "/figures.csv": ["text/csv", `name,amount\r\n"=1+1",-5\r\n-2+3,1\r\n`],
};

// Pages have the first status, answers to forms the second.
async function startSite(html, headers, [status, answer]) {
    const server = createServer(({ url, method }, response) => {
        const [type, text] = files[url] ?? [];
        if (url === "/missing") response.writeHead(404).end();
        else if (type) response.writeHead(200, { "content-type": type }).end(text);
        else response.writeHead(method === "POST" ? answer : status, headers).end(html);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() };
}

async function problemsOf({ browser, axe }, html, headers = HEADERS, statuses = [200, 200]) {
    const site = await startSite(html, headers, statuses);
    const report = new Report();
    const harness = new Harness({ browser, axe, report, url: site.url });
    const session = harness.visitor();
    const looks = [390, 1280].map((width) => ({ width }));
    const { forms } = await new Crawl(session, { looks }).run();
    await sendForms(session, forms.values());
    await session.close();
    site.stop();
    return report.problems();
}

export async function run(harness) {
    assert.deepEqual(await problemsOf(harness, GOOD), []);
    const policy = HEADERS["content-security-policy"]
        .replace("frame-ancestors 'none'; ", "")
        .replace("script-src", "script-src 'unsafe-eval'");
    const headers = { "content-type": HEADERS["content-type"], "content-security-policy": policy };
    const found = await problemsOf(harness, `${BAD}<!--${"x".repeat(120_000)}-->`, headers, [500, 422]);
    const missed = EXPECTED.filter((text) => !found.some((problem) => problem.includes(text)));
    assert.deepEqual(missed, [], `not found; found were:\n${found.join("\n")}`);
    return `${EXPECTED.length} faults found`;
}
