// Pictures of every page, to be looked at, and those of the README.
//
// Usage: node screenshots.mjs MODULES --demo TOLLKEEPER (--folder DIR | --readme)
//        node screenshots.mjs MODULES --base-url URL --link LINK (--folder DIR | --readme)
//   MODULES     the folder in which playwright-core and axe-core are installed
//   --demo      this program runs `tollkeeper demo` in each of its states, and signs in as an admin
//               and as a member; for the README, in the state `normal` as an admin
//   --base-url  a server that runs already
//   --link      a sign-in link of that server, which is used up
//   --folder    gets PAGE-WIDTH-SCHEME.png for each page, at 390 and 1,280 pixels, light and dark
//   --readme    writes docs/images/overview.png and usage.png, at most 200,000 bytes together; needs
//               `pngquant`, a package of Debian

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { Crawl } from "./checks/crawl.mjs";
import { Demo, STATES } from "./demo.mjs";
import { Harness, SCHEMES, startBrowser, WIDTHS } from "./harness.mjs";
import { Report } from "./report.mjs";

const README = [["/portal", "overview"], ["/portal/usage", "usage"]];
const README_BYTES = 200_000;
const README_SIZE = { width: 1280, height: 860 };
const IMAGES = new URL("../../../docs/images/", import.meta.url);

// `/portal/charges/{id}` is `portal-charges-id`.
const fileName = (kind) => kind.replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "");

// Every page that the session reaches, at each width and in each scheme, from top to bottom.
async function takeAll(session, folder) {
    await mkdir(folder, { recursive: true });
    const { pages } = await new Crawl(session, { check: false, looks: [{}] }).run();
    for (const [kind, path] of pages) {
        const view = await session.open(path);
        for (const width of WIDTHS) {
            for (const scheme of SCHEMES) {
                await view.resize({ width, scheme });
                const target = join(folder, `${fileName(kind)}-${width}-${scheme}.png`);
                await view.page.screenshot({ path: target, fullPage: true });
            }
        }
        await view.close();
    }
    console.log(`screenshots: ${pages.size} pages in ${folder}`);
}

// Pages have few colours, so 256 are enough, and the file is a third of what it was.
const withFewColours = (picture) =>
    execFileSync("pngquant", ["--speed", "1", "--strip", "256", "-"], { input: picture, maxBuffer: README_BYTES });

async function takeReadme(session) {
    await mkdir(IMAGES, { recursive: true });
    let bytes = 0;
    for (const [path, name] of README) {
        const view = await session.open(path);
        assert.equal(view.response.status(), 200, path);
        await view.page.setViewportSize(README_SIZE);
        const picture = withFewColours(await view.page.screenshot());
        await writeFile(new URL(`${name}.png`, IMAGES), picture);
        bytes += picture.length;
        console.log(`screenshots: docs/images/${name}.png, ${picture.length} bytes`);
        await view.close();
    }
    assert.ok(bytes <= README_BYTES, `${bytes} bytes are more than ${README_BYTES}`);
}

const text = { type: "string" };
const { values, positionals: [modules] } = parseArgs({
    allowPositionals: true,
    options: { demo: text, "base-url": text, link: text, folder: text, readme: { type: "boolean" } },
});
assert.ok(modules && (values.demo || (values["base-url"] && values.link)), "arguments are missing");
assert.ok(values.readme || values.folder, "--folder or --readme is missing");

const started = await startBrowser(resolve(modules));
const report = new Report();

// Signs in by the link, and takes the pictures. `name`: the folder in the folder.
async function take(url, link, name) {
    const session = await new Harness({ ...started, url, report }).followLink(link, name);
    if (values.readme) await takeReadme(session);
    else await takeAll(session, join(resolve(values.folder), name));
    await session.close();
}

async function takeDemo(state) {
    const demo = await Demo.start(resolve(values.demo), state);
    try {
        await take(demo.url, demo.adminLink, join(state, "admin"));
        if (demo.memberLink && !values.readme) await take(demo.url, demo.memberLink, join(state, "member"));
    } finally {
        await demo.stop();
    }
}

try {
    const states = values.readme ? ["normal"] : STATES;
    if (values.demo) for (const state of states) await takeDemo(state);
    else await take(values["base-url"], values.link, "");
} finally {
    await started.browser.close();
}
report.print();
