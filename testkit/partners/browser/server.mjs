// A running server of Tollkeeper for the tests in a browser: the process, its API, its mails.
//
// The data are in a temporary directory, which is removed at the end. Mails become files there.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const PLATFORM_KEY = "tk_platform_of_the_browser_tests";
const SECONDS = 30;

// A port that is free now. Links in mails contain it, so it must be known before the start.
const freePort = () =>
    new Promise((resolve, reject) => {
        const server = createServer().on("error", reject);
        server.listen(0, "127.0.0.1", () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });

// Calls `attempt` until it returns something, at most for `seconds`.
export async function until(what, attempt, seconds = SECONDS) {
    for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
        const found = await attempt();
        if (found) return found;
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`after ${seconds} seconds: no ${what}`);
}

// Ends a process as an operator does, and waits for it.
export async function end(child) {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (child.exitCode === null && child.kill("SIGTERM")) await ended;
}

export class Server {
    constructor(url, directory, child) {
        Object.assign(this, { url, directory, child, mails: join(directory, "mails") });
    }

    // Starts `program`. `settings` are environment variables without TOLLKEEPER_.
    static async start(program, settings = {}) {
        const directory = await mkdtemp(join(tmpdir(), "tollkeeper-browser-"));
        await mkdir(join(directory, "mails"));
        const port = await freePort();
        const url = `http://127.0.0.1:${port}`;
        const all = {
            PLATFORM_KEY, PAYMENTS: "manual", PUBLIC_URL: url, MAIL_FROM: "Acme Billing <billing@example.com>",
            SMTP_URL: `file://${directory}/mails`, ...settings,
        };
        const named = Object.entries(all).map(([name, value]) => [`TOLLKEEPER_${name}`, value]);
        const place = ["--data", join(directory, "data"), "--listen", `127.0.0.1:${port}`];
        const child = spawn(program, ["serve", ...place], {
            env: { PATH: process.env.PATH, ...Object.fromEntries(named) },
            stdio: ["ignore", "pipe", "pipe"],
        });
        let output = "";
        for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
        const server = new Server(url, directory, child);
        try {
            await until("server that listens", () => {
                assert.equal(child.exitCode, null, "the server runs");
                return output.includes("listening on ");
            });
        } catch (error) {
            await server.stop();
            throw new Error(`the server does not start: ${error.message}\n${output}`);
        }
        return server;
    }

    async stop() {
        await end(this.child);
        await rm(this.directory, { recursive: true, force: true });
    }

    // Calls the API as the platform does, and returns the status and the JSON.
    async ask(method, path, body, more = {}) {
        const response = await fetch(this.url + path, {
            method,
            headers: { authorization: `Bearer ${PLATFORM_KEY}`, "content-type": "application/json", ...more },
            body: body === undefined ? undefined : JSON.stringify(body),
        });
        const text = await response.text();
        return { status: response.status, json: text ? JSON.parse(text) : null };
    }

    // The same for a call that must succeed; returns the JSON.
    async call(method, path, body, more) {
        const { status, json } = await this.ask(method, path, body, more);
        assert.ok(status < 300, `${method} ${path}: ${status} ${JSON.stringify(json)}`);
        return json;
    }

    // The same for a POST that moves credit, which needs a key.
    move(path, body) {
        return this.call("POST", path, body, { "idempotency-key": randomUUID() });
    }

    // A link that signs a member in.
    async signInLink(workspace, member, more = {}) {
        const { url } = await this.call("POST", `/v1/workspaces/${workspace}/portal-sessions`, { member, ...more });
        return url;
    }

    // The first link of a mail that begins with `path`, as soon as there is one to this address.
    async linkInMail(address, path) {
        return until(`mail to ${address} with ${path}`, async () => {
            for (const name of await readdir(this.mails)) {
                const mail = unfolded(await readFile(join(this.mails, name), "utf8"));
                const found = mail.slice(mail.indexOf("\n\n")).match(new RegExp(`${this.url}${path}[^\\s<>"]*`));
                if (found && mail.match(/^To: (.*)$/m)?.[1].includes(address)) return found[0];
            }
            return null;
        });
    }
}

// Quoted-printable text as it was before; enough for links, which are ASCII.
const unfolded = (mail) =>
    mail
        .replaceAll("\r\n", "\n")
        .replace(/=\n/g, "")
        .replace(/=([0-9A-F]{2})/g, (_, code) => String.fromCharCode(parseInt(code, 16)));
