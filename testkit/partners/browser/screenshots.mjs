// Pictures of every page, to be looked at, and those of the README.
//
// Usage: node screenshots.mjs MODULES --demo TOLLKEEPER (--folder DIR | --readme)
//        node screenshots.mjs MODULES --sample TOLLKEEPER --folder DIR
//        node screenshots.mjs MODULES --base-url URL --link LINK (--folder DIR | --readme)
//   MODULES     the folder in which playwright-core and axe-core are installed
//   --demo      this program runs `tollkeeper demo` in each of its states, and signs in as an admin
//               and as a member; for the README, in the state `normal` as an admin
//   --sample    this program serves the workspaces of the tests, with their hostile names; the
//               folder also gets the answers of forms, and the pages to which no link leads
//   --base-url  a server that runs already
//   --link      a sign-in link of that server, which is used up
//   --locale    the language of the browser, such as de-DE; default: en-US
//   --folder    gets PAGE-WIDTH-SCHEME.png for each page, at 390 and 1,280 pixels, light and dark
//   --readme    writes docs/images/overview.png and usage.png, at most 200,000 bytes together;
//               needs the packages pngquant and fonts-inter of Debian, to look alike everywhere

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { Crawl } from "./checks/crawl.mjs";
import { sendForms } from "./checks/forms.mjs";
import { Demo, STATES } from "./demo.mjs";
import { Harness, SCHEMES, startBrowser, WIDTHS } from "./harness.mjs";
import { Report } from "./report.mjs";
import { fillSample } from "./sample.mjs";
import { Server } from "./server.mjs";
import { pagesOfVisitors } from "./visitors.mjs";

// The Overview as most people see it first, and the chart of a range on a phone. The README shows
// them beside each other, equally high. `top`: what the window is scrolled to.
const README = [
    { path: "/portal", name: "overview", scheme: "light", width: 1280, height: 1030 },
    { path: "/portal/usage", name: "usage", scheme: "dark", width: 390, height: 844, top: "#used" },
];
const README_BYTES = 200_000;
const IMAGES = new URL("../../../docs/images/", import.meta.url);

// `/portal/charges/{id}` is `portal-charges-id`.
const fileName = (kind) => kind.replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "");

// A page at each width and in each scheme, from top to bottom.
async function takePage(view, folder, name) {
    for (const width of WIDTHS) {
        for (const scheme of SCHEMES) {
            await view.resize({ ...view.look, width, scheme });
            const path = join(folder, `${fileName(name)}-${width}-${scheme}.png`);
            await view.page.screenshot({ path, fullPage: true });
        }
    }
}

// Every page that the session reaches. Returns what it found.
async function takeAll(session, folder) {
    await mkdir(folder, { recursive: true });
    const found = await new Crawl(session, { check: false, looks: [{}] }).run();
    for (const [kind, path] of found.pages) {
        const view = await session.open(path);
        await takePage(view, folder, kind);
        await view.close();
    }
    console.log(`screenshots: ${found.pages.size} pages in ${folder}`);
    return found;
}

// Pages have few colours, so 256 are enough, and the file is a third of what it was.
const withFewColours = (picture) =>
    execFileSync("pngquant", ["--speed", "1", "--strip", "256", "-"], { input: picture, maxBuffer: README_BYTES });

// The font of the system, which differs between machines, is Inter in the pictures of the README.
// Returns a directory with a configuration that says so.
async function useInter() {
    const found = execFileSync("fc-match", ["Inter:family"], { encoding: "utf8" });
    assert.ok(found.includes("Inter"), "the font Inter is missing; install the package fonts-inter");
    const directory = await mkdtemp(join(tmpdir(), "tollkeeper-fonts-"));
    await writeFile(join(directory, "fonts.conf"), `<fontconfig>
        <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
        <match><test name="family" compare="not_eq"><string>monospace</string></test>
        <edit name="family" mode="prepend_first" binding="strong"><string>Inter</string></edit></match>
    </fontconfig>`);
    return directory;
}

async function takeReadme(session) {
    await mkdir(IMAGES, { recursive: true });
    let bytes = 0;
    for (const { path, name, scheme, width, height, top = "h1" } of README) {
        const view = await session.open(path, { scheme, width });
        await view.page.setViewportSize({ width, height });
        await view.page.locator(top).evaluate((one) => (one.closest(".card") ?? document.body).scrollIntoView());
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
    options: {
        demo: text, sample: text, "base-url": text, link: text, locale: text, folder: text, readme: { type: "boolean" },
    },
});
const isSource = values.demo || values.sample || (values["base-url"] && values.link);
assert.ok(modules && isSource, "arguments are missing");
assert.ok((values.readme && !values.sample) || values.folder, "--folder or --readme is missing");

const fonts = values.readme ? await useInter() : undefined;
const started = await startBrowser(resolve(modules), fonts && { FONTCONFIG_FILE: join(fonts, "fonts.conf") });
const report = new Report();

// Signs in by the link, and takes the pictures. `name`: the folder in the folder.
async function take(url, link, name) {
    const session = await new Harness({ ...started, url, report }).followLink(link, name, values.locale);
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

async function takeSample() {
    const server = await Server.start(resolve(values.sample));
    try {
        await fillSample(server);
        const harness = new Harness({ ...started, server, report });
        const folder = (name) => join(resolve(values.folder), "sample", name);
        for (const member of ["bob", "ada"]) {
            const session = await harness.signIn("acme", member, values.locale);
            const { forms } = await takeAll(session, folder(member));
            await mkdir(folder(`${member}-answers`), { recursive: true });
            const wanted = [...forms.values()].filter(({ path }) => !path.includes("sign-out"));
            const look = (view) => takePage(view, folder(`${member}-answers`), view.name);
            await sendForms(session, wanted, { look });
            await session.close();
        }
        await mkdir(folder("visitors"), { recursive: true });
        await pagesOfVisitors(harness, values.locale, (view, name) => takePage(view, folder("visitors"), name));
    } finally {
        await server.stop();
    }
}

try {
    const states = values.readme ? ["normal"] : STATES;
    if (values.demo) for (const state of states) await takeDemo(state);
    else if (values.sample) await takeSample();
    else await take(values["base-url"], values.link, "");
} finally {
    await started.browser.close();
    if (fonts) await rm(fonts, { recursive: true });
}
report.print();
