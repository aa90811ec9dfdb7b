// Finds every page that a member can reach by links and by forms that only ask (GET), and checks it.
//
// Pages that differ in an id or a query only are one kind of page. The first of a kind gets every
// check, with script and without; a few others are opened to see that they are sound.

import { shown } from "../harness.mjs";

// A range without any use is a state of its own.
const EMPTY_RANGE = "from=2020-01-01&to=2020-01-07";
const WITH_RANGE = ["/portal/usage", "/portal/charges"];
const KINDS_MAX = 60;
const OTHERS_OF_A_KIND = 4;

// What a crawl finds: `pages` by kind, with an example of its path; `forms` that change something.
export class Crawl {
    pages = new Map();
    forms = new Map();
    downloads = new Set();
    #queue = [];
    #seen = new Set();
    #others = new Map();

    // `looks`: the widths and colours. Without `check`, pages are only found.
    constructor(session, { start = "/portal", looks, check = true, withoutScript = true }) {
        Object.assign(this, { session, harness: session.harness, start, looks, check, withoutScript });
    }

    async run() {
        this.#add(this.start);
        while (this.#queue.length) {
            const path = this.#queue.shift();
            await this.#visit(path, shown(path));
        }
        for (const kind of WITH_RANGE.filter((one) => this.pages.has(one))) {
            await this.#visit(`${kind}?${EMPTY_RANGE}`, `${kind} (empty range)`);
        }
        return this;
    }

    // A page that cannot be checked is a problem, and does not end the crawl.
    async #visit(path, kind) {
        try {
            if (this.pages.has(kind)) await this.#lookAt(path, kind);
            else await this.#explore(path, kind);
        } catch (error) {
            const [problem] = error.message.split("\n");
            this.harness.report.add({ page: kind, session: this.session.name, look: "all", problem });
        }
    }

    #add(path) {
        if (this.#seen.has(path)) return;
        this.#seen.add(path);
        this.#queue.push(path);
    }

    // The first page of a kind.
    async #explore(path, kind) {
        if (this.pages.size >= KINDS_MAX) throw new Error(`more than ${KINDS_MAX} kinds of pages`);
        this.pages.set(kind, path);
        const view = await this.session.open(path, { ...this.looks[0], script: true });
        view.name = kind;
        const [links, forms] = [await view.inPage("links"), await view.inPage("forms")];
        await this.#follow(view, links, forms);
        if (this.check) {
            await view.check(this.looks);
            if (this.withoutScript) await this.#checkWithoutScript(path, kind, links);
        }
        await view.close();
    }

    async #checkWithoutScript(path, kind, links) {
        const view = await this.session.open(path, { ...this.looks[0], script: false });
        view.name = kind;
        const without = new Set((await view.inPage("links")).map(({ url }) => kindOf(url)));
        for (const { url, text } of links) {
            if (!without.has(kindOf(url))) view.report(`without script, there is no link "${text}" to ${url}`);
        }
        await view.check(this.looks);
        await view.close();
    }

    // Another page of a kind: it opens, and nothing fails.
    async #lookAt(path, kind) {
        const others = this.#others.get(kind) ?? 0;
        this.#others.set(kind, others + 1);
        if (!this.check || others >= OTHERS_OF_A_KIND) return;
        const view = await this.session.open(path, this.looks[0]);
        await view.watch.checkWeight();
        await view.close();
    }

    async #follow(view, links, forms) {
        const isOwn = (url) => new URL(url).origin === new URL(this.harness.url).origin;
        for (const { url, isDownload } of links.filter((link) => isOwn(link.url))) {
            const { pathname, search } = new URL(url);
            if (isDownload || pathname.endsWith(".csv")) await this.#download(view, pathname + search);
            else this.#add(pathname + search);
        }
        for (const { method, action, fields, buttons } of forms) {
            const { pathname } = new URL(action);
            if (!isOwn(action)) view.report(`a form goes to another host: ${action}`);
            else if (method === "get") this.#add(`${pathname}?${new URLSearchParams(fields)}`);
            else this.#keepForm(view, pathname, fields, buttons);
        }
    }

    #keepForm(view, path, fields, buttons) {
        if (!fields.some(([name]) => name === "token")) view.report(`a form without a token: ${path}`);
        const names = fields.map(([name]) => name).sort();
        const form = { page: view.path(), path, fields: Object.fromEntries(fields), buttons };
        this.forms.set(`${shown(path)} ${names}`, form);
    }

    // A file of figures: it comes as a file, and no cell of it is a formula.
    async #download(view, path) {
        const kind = shown(path);
        if (this.downloads.has(kind)) return;
        this.downloads.add(kind);
        const response = await this.session.request("GET", path);
        const headers = response.headers();
        if (response.status() !== 200) return view.report(`status ${response.status()} of ${path}`);
        const { "content-type": type, "content-disposition": disposition } = headers;
        if (!type?.startsWith("text/csv")) view.report(`${path} is ${type}`);
        if (!disposition?.startsWith("attachment")) view.report(`${path} does not come as a file`);
        for (const cell of cells(await response.text()).filter(isFormula)) {
            view.report(`a formula in ${path}: ${cell}`);
        }
    }
}

const kindOf = (url) => new URL(url).origin + shown(new URL(url).pathname);

// What a spreadsheet calculates; a negative number is none.
const isFormula = (cell) => /^[=+@\t\r]/.test(cell) || /^-(?![\d.]+$)/.test(cell);

// The cells of a CSV file.
function cells(text) {
    const cell = /("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n|$)/g;
    return [...text.matchAll(cell)].map(([, value]) =>
        value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value);
}
