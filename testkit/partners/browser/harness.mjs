// What every flow begins with: a server, a browser, and sessions of members in it.
//
//   const ada = await harness.signIn("acme", "ada");
//   const view = await ada.open("/portal", { script: false, width: 390, scheme: "dark" });
//   view.page     a page of playwright-core
//   view.check()  every check of a page; problems are added to the report
//
// The browser is Debian's `chromium-headless-shell`, Chromium without windows, which takes half the
// time; else `chromium`, or the program that CHROMIUM names.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { checkAccessibility } from "./checks/accessibility.mjs";
import { checkKeyboard } from "./checks/keyboard.mjs";
import { checkLayout, checkPrint, checkSource } from "./checks/layout.mjs";
import { Watch } from "./checks/watch.mjs";

export const PHONE = 390;
export const DESKTOP = 1280;
export const WIDTHS = [PHONE, DESKTOP];
export const SCHEMES = ["light", "dark"];
const HEIGHT = 900;
const SECONDS = 15;

const IN_PAGE = readFileSync(new URL("checks/in_page.js", import.meta.url), "utf8");

export const lookName = ({ script = true, width = DESKTOP, scheme = "light" }) =>
    `${width} ${scheme}${script ? "" : " without script"}`;

// The path of the browser.
function chromium() {
    const named = process.env.CHROMIUM;
    const folders = process.env.PATH.split(":");
    const names = named ? [named] : ["chromium-headless-shell", "chromium"];
    const paths = names.flatMap((name) => name.includes("/") ? [name] : folders.map((one) => join(one, name)));
    const found = paths.find((path) => existsSync(path));
    assert.ok(found, `there is no ${names.join(" or ")}; install one of them, or name the program in CHROMIUM`);
    return found;
}

// Starts the browser. `modules` is the folder in which playwright-core and axe-core are installed,
// `settings` are environment variables.
export async function startBrowser(modules, settings = {}) {
    const require = createRequire(`${modules}/`);
    const env = { ...process.env, ...settings };
    const browser = await require("playwright-core").chromium.launch({ executablePath: chromium(), env });
    return { browser, axe: readFileSync(require.resolve("axe-core/axe.min.js"), "utf8") };
}

export class Harness {
    // `server` is one that this process has started, or null if `url` is one that runs already.
    constructor({ browser, server = null, url = server.url, axe, report }) {
        Object.assign(this, { browser, server, url, axe, report });
    }

    // A browser of its own, without cookies.
    visitor(name = "a visitor", locale = "en-US") {
        return new Session(this, name, locale, undefined);
    }

    // A member's browser, signed in by a link.
    async signIn(workspace, member, locale) {
        const link = await this.server.signInLink(workspace, member);
        return this.followLink(link, `${member} of ${workspace}`, locale);
    }

    // A browser that is signed in by this link. Further pages, with and without script, get its cookie.
    async followLink(link, name, locale) {
        const visitor = this.visitor(name, locale);
        const { page } = await visitor.open(link);
        await page.getByRole("button").first().click();
        await page.waitForURL("**/portal");
        const state = await page.context().storageState();
        await visitor.close();
        return new Session(this, name, visitor.locale, state);
    }
}

// One browser: its cookies, and a context each for pages with and without script.
export class Session {
    #contexts = new Map();
    // Blank pages by whether they run scripts. They are used again: a new page takes a second.
    #blank = new Map([[true, []], [false, []]]);

    constructor(harness, name, locale, state) {
        Object.assign(this, { harness, name, locale, state });
    }

    async context(script = true) {
        if (!this.#contexts.has(script)) {
            const context = await this.harness.browser.newContext({
                javaScriptEnabled: script,
                storageState: this.state,
                reducedMotion: "reduce",
                locale: this.locale,
            });
            context.setDefaultTimeout(SECONDS * 1000);
            this.#contexts.set(script, context);
        }
        return this.#contexts.get(script);
    }

    async blankPage(script = true) {
        return this.#blank.get(script).pop() ?? (await this.context(script)).newPage();
    }

    // Takes a page back that is not needed any more. Nothing of it runs on.
    async putBack(page, script = true) {
        await page.unrouteAll();
        await page.goto("about:blank");
        this.#blank.get(script).push(page);
    }

    // Opens a page; it must have the status.
    async open(path, look = {}, status = 200) {
        const page = await this.blankPage(look.script);
        const view = new View(this, page, look);
        await view.resize(look);
        await view.go(path, status);
        return view;
    }

    // Sends a request with the cookies of this browser, without a page. Redirects are not followed.
    async request(method, path, options = {}) {
        const { request } = await this.context();
        const url = new URL(path, this.harness.url).href;
        return request.fetch(url, { method, maxRedirects: 0, headers: { accept: "text/html" }, ...options });
    }

    async close() {
        for (const context of this.#contexts.values()) await context.close();
        this.#contexts.clear();
        for (const pages of this.#blank.values()) pages.length = 0;
    }
}

// One open page, and what went wrong with it.
export class View {
    constructor(session, page, look) {
        const { harness } = session;
        Object.assign(this, { session, harness, page, look, watch: new Watch(page, new URL(harness.url).origin) });
    }

    // The width of the window and the colours.
    async resize(look) {
        this.look = { script: true, width: DESKTOP, scheme: "light", ...look };
        const { width, scheme } = this.look;
        await this.page.setViewportSize({ width, height: HEIGHT });
        await this.page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    }

    async go(path, status = 200) {
        this.watch.restart(status);
        this.response = await this.page.goto(new URL(path, this.harness.url).href, { waitUntil: "load" });
        await this.#prepare();
    }

    // Presses a button that leads to another page, which must have the status.
    async press(name, status = 200) {
        return this.leave(() => this.page.getByRole("button", { name, exact: true }).click(), status);
    }

    // Does what leads to another page. It must have the status, if one is given; returns it.
    async leave(act, status) {
        this.watch.restart(status);
        [this.response] = await Promise.all([this.page.waitForNavigation({ waitUntil: "load" }), act()]);
        await this.#prepare();
        return this.response.status();
    }

    async #prepare() {
        await this.page.evaluate(IN_PAGE);
    }

    // Calls a function of checks/in_page.js.
    inPage(name, ...values) {
        return this.page.evaluate(([name, values]) => tollkeeperChecks[name](...values), [name, values]);
    }

    text() {
        return this.page.locator("body").innerText();
    }

    path() {
        const { pathname, search } = new URL(this.page.url());
        return pathname + search;
    }

    report(problem) {
        this.harness.report.add({
            page: this.name ?? shown(this.path()), session: this.session.name, look: lookName(this.look), problem,
        });
    }

    // Every check of a page, in the present state of the page and at each of the looks.
    async check(looks = [this.look]) {
        for (const problem of await checkSource(this)) this.report(problem);
        await this.watch.checkWeight();
        this.reportWatched();
        const { script } = this.look;
        const widths = new Set();
        for (const look of looks) {
            await this.resize({ ...look, script });
            const { width } = this.look;
            const isNewWidth = !widths.has(width);
            const problems = isNewWidth ? [...(await checkLayout(this)), ...(await checkKeyboard(this))] : [];
            problems.push(...(await checkAccessibility(this, isNewWidth)));
            if (!widths.size) problems.push(...(await checkPrint(this)));
            widths.add(width);
            for (const problem of problems) this.report(problem);
        }
        this.reportWatched();
    }

    reportWatched() {
        for (const problem of this.watch.problems.splice(0)) this.report(problem);
    }

    async close() {
        this.reportWatched();
        this.watch.end();
        if (this.copy) await this.session.putBack(this.copy.page);
        await this.session.putBack(this.page, this.look.script);
    }
}

// A path as the report shows it: ids and secrets replaced.
export const shown = (path) =>
    path
        .replace(/\?.*/, "")
        .replace(/\/[a-z]+_(link_)?[0-9a-f-]{30,}[^/]*/g, "/{id}")
        .replace(/\/member:[^/]+/g, "/{id}");

// Fails unless the page has each of the texts.
export async function expectTexts(view, ...texts) {
    const all = await view.text();
    for (const text of texts) assert.ok(all.includes(text), `${view.path()} lacks "${text}":\n${all}`);
}
