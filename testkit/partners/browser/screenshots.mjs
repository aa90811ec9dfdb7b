// Pictures of every page of a running server, to be looked at.
//
// Usage: node screenshots.mjs --modules DIR --base-url URL --link LINK --folder DIR [--member LINK]
//        node screenshots.mjs --modules DIR --base-url URL --link LINK --readme
//   --modules   the folder in which playwright-core and axe-core are installed
//   --link      a sign-in link, such as `tollkeeper demo` prints; it is used up
//   --member    a second one, whose pages are written into the folder `member`
//   --folder    gets PAGE-WIDTH-SCHEME.png for each page, at 390 and 1,280 pixels, light and dark
//   --readme    writes the two pictures of the README instead, at most 200,000 bytes together; needs
//               `pngquant`, a package of Debian
//
// For each state of the demo: `tollkeeper demo --state zero-balance`, and another folder.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { Crawl } from "./crawl.mjs";
import { Harness, SCHEMES, startBrowser, WIDTHS } from "./harness.mjs";
import { Report } from "./report.mjs";

const README = [["/portal", "overview"], ["/portal/usage", "usage"]];
const README_BYTES = 200_000;
const README_SIZE = { width: 1280, height: 860 };
const IMAGES = new URL("../../../docs/images/", import.meta.url);

const text = { type: "string" };
const { values } = parseArgs({
    options: {
        modules: text, "base-url": text, link: text, member: text, folder: text, readme: { type: "boolean" },
    },
});
assert.ok(values.modules && values["base-url"] && values.link, "see the head of this file for the arguments");
assert.ok(values.readme || values.folder, "--folder or --readme is missing");

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

const started = await startBrowser(resolve(values.modules));
const report = new Report();
const harness = new Harness({ ...started, url: values["base-url"], report });
try {
    const session = await harness.followLink(values.link, "the first link");
    if (values.readme) {
        await takeReadme(session);
    } else {
        await takeAll(session, resolve(values.folder));
        if (values.member) {
            const member = await harness.followLink(values.member, "the second link");
            await takeAll(member, join(resolve(values.folder), "member"));
        }
    }
} finally {
    await started.browser.close();
}
report.print();
