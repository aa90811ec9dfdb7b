// What tests need: a running server, a workspace with credit, and a proxy that disturbs.
//
// `TOLLKEEPER` names the program. `TOLLKEEPER_REPOSITORY` names the folder of the repository, whose
// tests of the dashboard have the code that starts a server.

import { createServer, connect, type Socket } from "node:net";
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { after } from "node:test";
import { Client, type ClientOptions } from "tollkeeper";

interface RunningServer {
    url: string;
    stop(): Promise<void>;
}

const repository = process.env["TOLLKEEPER_REPOSITORY"] ?? "";
const program = process.env["TOLLKEEPER"] ?? join(repository, "target/debug/tollkeeper");
const module = pathToFileURL(join(repository, "testkit/partners/browser/server.mjs")).href;
const { Server, PLATFORM_KEY } = (await import(module)) as {
    Server: { start(program: string, settings?: Record<string, string>): Promise<RunningServer> };
    PLATFORM_KEY: string;
};

export const KEY = PLATFORM_KEY;

/** Starts a server, which is stopped after the tests of the file. */
export async function start(settings: Record<string, string> = {}): Promise<string> {
    const server = await Server.start(program, settings);
    after(() => server.stop());
    return server.url;
}

export const platform = (url: string, options: ClientOptions = {}) => new Client(url, KEY, options);

/** A port on which nothing listens. */
export const freePort = () =>
    new Promise<number>((resolve) => {
        const server = createServer().listen(0, "127.0.0.1", () => {
            const { port } = server.address() as { port: number };
            server.close(() => resolve(port));
        });
    });

let made = 0;

/** A workspace with 10 dollars of credit. */
export async function workspaceOf(client: Client): Promise<string> {
    made += 1;
    const { id } = await client.workspaces.create({ id: `w${made}`, name: "Acme" });
    await client.grants.create(id, { source: "promotional", amount: 1_000_000, reason: "test" });
    return id;
}

export const available = async (client: Client, workspace: string) =>
    (await client.workspaces.balance(workspace)).available;

/** All values of a list. */
export async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
    const found: T[] = [];
    for await (const value of values) found.push(value);
    return found;
}

/**
 * What happens to a request instead of being passed on:
 * `cut`: the server answers, and the client gets nothing;
 * `half`: the client gets half of the answer;
 * `hang`: nothing is sent;
 * a text: the client gets it, and the server gets nothing.
 */
type Action = "cut" | "half" | "hang" | { text: string };

/** Passes requests to a server, and disturbs the next ones as `plan` says. */
export class Proxy {
    plan: Action[] = [];
    requests: string[] = [];
    url = "";
    private readonly sockets = new Set<Socket>();
    private readonly server = createServer((socket) => this.serve(socket));

    private constructor(private readonly upstream: number) {}

    static async before(url: string): Promise<Proxy> {
        const proxy = new Proxy(Number(new URL(url).port));
        await new Promise<void>((resolve) => proxy.server.listen(0, "127.0.0.1", resolve));
        proxy.url = `http://127.0.0.1:${(proxy.server.address() as { port: number }).port}`;
        after(() => {
            proxy.server.close();
            for (const socket of proxy.sockets) socket.destroy();
        });
        return proxy;
    }

    /** The idempotency keys that were sent. */
    keys(): string[] {
        return this.requests.map((request) => /^idempotency-key: (.*)\r$/im.exec(request)?.[1] ?? "");
    }

    private serve(socket: Socket): void {
        this.sockets.add(socket);
        socket.on("close", () => this.sockets.delete(socket)).on("error", () => socket.destroy());
        let data = Buffer.alloc(0);
        socket.on("data", (part) => {
            data = Buffer.concat([data, part]);
            const [head = "", body] = data.toString("latin1").split(/\r\n\r\n(.*)/s);
            const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
            if (body === undefined || body.length < length) return;
            this.requests.push(data.toString("utf8"));
            this.answer(socket, head, body);
            data = Buffer.alloc(0);
        });
    }

    private answer(socket: Socket, head: string, body: string): void {
        const action = this.plan.shift();
        if (action === "hang") return;
        if (typeof action === "object") {
            socket.end(action.text);
            return;
        }
        const parts: Buffer[] = [];
        const upstream = connect(this.upstream, "127.0.0.1");
        upstream.on("data", (part) => parts.push(part));
        upstream.on("close", () => {
            const whole = Buffer.concat(parts);
            if (action === "cut") socket.destroy();
            else socket.end(action === "half" ? whole.subarray(0, whole.length / 2) : whole);
        });
        const closing = head.replace(/^connection: .*\r\n/im, "");
        upstream.write(Buffer.from(`${closing}\r\nconnection: close\r\n\r\n${body}`, "latin1"));
    }
}

/** The text of an answer. */
export function answer(status: number, value: unknown, headers: string[] = [], kind = "application/json"): Action {
    const body = typeof value === "string" ? value : JSON.stringify(value);
    const lines = [`HTTP/1.1 ${status} X`, `content-type: ${kind}`, `content-length: ${Buffer.byteLength(body)}`];
    return { text: [...lines, "connection: close", ...headers, "", body].join("\r\n") };
}

/** The text of a problem. */
export function problem(status: number, code: string, retryable: boolean, headers: string[] = [], more = {}): Action {
    const value = { type: `urn:tollkeeper:problem:${code}`, title: code, status, detail: "A test.", code, retryable };
    return answer(status, { ...value, ...more }, headers, "application/problem+json");
}
