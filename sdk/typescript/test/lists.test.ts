// Lists over pages, the journal behind a position, and the stream.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DeadlineExceededError } from "tollkeeper";
import { answer, collect, platform, Proxy, start, workspaceOf } from "./support.js";

const url = await start();
const client = platform(url);

test("a list has all rows of all pages", async () => {
    const workspace = await workspaceOf(client);
    const made: string[] = [];
    for (let index = 0; index < 7; index += 1) {
        made.unshift((await client.charges.create(workspace, { operation: "support_message" })).id);
    }
    const ids = async (query: object) => (await collect(client.charges.list(workspace, query))).map(({ id }) => id);
    assert.deepEqual(await ids({ limit: 3 }), made);
    const pages = await collect(client.charges.list(workspace, { limit: 3 }).pages());
    assert.deepEqual(pages.map(({ data }) => data.length), [3, 3, 1]);
    const { next_cursor: cursor } = await client.charges.list(workspace, { limit: 2 }).first();
    assert.deepEqual(await ids({ limit: 2, cursor }), made.slice(2));
    assert.deepEqual(await ids({ worker: "nobody" }), []);
});

test("an empty page is not the end and a repeated one is an error", async () => {
    const workspace = await workspaceOf(client);
    const proxy = await Proxy.before(url);
    const { members } = platform(proxy.url);
    const page = (data: object[], next_cursor: string | null) => answer(200, { data, next_cursor });
    proxy.plan = [page([], "a"), page([{ id: "ada" }], "b"), page([], null)];
    assert.deepEqual((await collect(members.list(workspace))).map(({ id }) => id), ["ada"]);
    proxy.plan = [page([], "a"), page([], "a")];
    await assert.rejects(collect(members.list(workspace)), /repeats/);
});

test("entries follow a position", async () => {
    const workspace = await workspaceOf(client);
    const some = await client.journal.entriesAfter(workspace, { after: "0", limit: 1 });
    assert.deepEqual(some.data.map(({ number }) => number), [1]);
    const rest = await client.journal.entriesAfter(workspace, { after: some.after ?? "", wait: 1 });
    assert.deepEqual(rest.data.map(({ kind }) => kind), ["grant.created"]);
    const last = { after: rest.after ?? "", wait: 1 };
    const bounds = { attemptTimeoutSeconds: 0.8 };
    assert.deepEqual((await client.journal.entriesAfter(workspace, last, bounds)).data, []);
});

test("a stream gives the balance and the entries", async () => {
    const workspace = await workspaceOf(client);
    const stream = client.journal.stream(workspace, { after: "0", kinds: "grant.created,charge.opened" });
    const next = async () => (await stream.next()).value;
    const first = await next();
    assert.deepEqual([first.event, first.data.available], ["balance", 1_000_000]);
    assert.equal((await next()).event, "grant.created");
    const { id } = await client.charges.create(workspace, { operation: "support_message" });
    const last = await next();
    assert.deepEqual([last.event, last.id, last.data.charge], ["charge.opened", "1-3", id]);
    await stream.return(undefined);
});

test("a silent stream is given up", async () => {
    const proxy = await Proxy.before(url);
    const stream = platform(proxy.url).journal.stream(await workspaceOf(client), {}, { silenceSeconds: 0.3 });
    proxy.plan = ["hang"];
    await assert.rejects(stream.next(), DeadlineExceededError);
});

test("a stream that is refused throws its problem, and one ends with its signal", async () => {
    await assert.rejects(client.journal.stream("nobody").next(), { code: "workspace_not_found" });
    const stop = new AbortController();
    const stream = client.journal.stream(await workspaceOf(client), {}, { signal: stop.signal });
    assert.equal((await stream.next()).value.event, "balance");
    stop.abort(new RangeError("enough"));
    await assert.rejects(stream.next(), RangeError);
});
