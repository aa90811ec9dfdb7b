// Disturbed connections, and answers that ask for another attempt, with a real server behind.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
    ApiError,
    Client,
    ConnectionFailedError,
    DeadlineExceededError,
    InsufficientCreditsError,
    PaymentRequiredError,
    UnexpectedAnswerError,
} from "tollkeeper";
import { answer, available, collect, freePort, platform, problem, Proxy, start, workspaceOf } from "./support.js";

const url = await start();
const client = platform(url);
const CHARGE = { operation: "virtual_try_on" };

/** A proxy, and a workspace with credit. */
async function disturbed() {
    const proxy = await Proxy.before(url);
    return { proxy, workspace: await workspaceOf(client) };
}

const since = (begun: number) => (performance.now() - begun) / 1000;

/** The error that a promise rejects with, which must be a `kind`. */
async function errorOf<E extends Error>(kind: abstract new (...values: never[]) => E, promise: Promise<unknown>) {
    const error = await promise.then(() => assert.fail("it succeeded"), (one: unknown) => one);
    assert.ok(error instanceof kind, String(error));
    return error;
}

test("a charge over a cut connection is charged once", async () => {
    const { proxy, workspace } = await disturbed();
    proxy.plan = ["cut", "half"];
    const charge = await platform(proxy.url).charges.create(workspace, CHARGE);
    assert.deepEqual([charge.replayed, charge.status_now, proxy.requests.length], [true, "settled", 3]);
    assert.equal(new Set(proxy.keys()).size, 1);
    assert.equal(await available(client, workspace), 980_000);
    assert.deepEqual((await collect(client.charges.list(workspace))).map((one) => one.id), [charge.id]);
});

test("each call has a key of its own unless one is given", async () => {
    const { proxy, workspace } = await disturbed();
    const charges = platform(proxy.url).charges;
    const [one, other] = [await charges.create(workspace, CHARGE), await charges.create(workspace, CHARGE)];
    assert.notEqual(one.id, other.id);
    assert.equal(new Set(proxy.keys()).size, 2);
    const key = { idempotencyKey: "order-17" };
    const [first, again] = [
        await charges.create(workspace, CHARGE, key),
        await charges.create(workspace, CHARGE, key),
    ];
    assert.deepEqual([first.replayed, again.replayed, again.id], [false, true, first.id]);
});

test("what must not be done twice is not sent again", async () => {
    const { proxy } = await disturbed();
    proxy.plan = ["cut"];
    const { workspaces } = platform(proxy.url);
    const error = await errorOf(ConnectionFailedError, workspaces.create({ name: "Cut" }));
    assert.deepEqual([error.wasSent, proxy.requests.length], [true, 1]);
    proxy.plan = [problem(503, "store_unavailable", true)];
    await assert.rejects(workspaces.create({ name: "Unavailable" }), { code: "store_unavailable" });
    assert.equal(proxy.requests.length, 2);
});

test("a 402 is not sent again", async () => {
    const { proxy, workspace } = await disturbed();
    const promise = platform(proxy.url).charges.create(workspace, { ...CHARGE, quantity: 51 });
    const error = await errorOf(InsufficientCreditsError, promise);
    assert.equal(proxy.requests.length, 1);
    assert.ok(error instanceof PaymentRequiredError && error instanceof ApiError);
    assert.deepEqual([error.status, error.code, error.retryable], [402, "insufficient_credits", false]);
    assert.deepEqual([error.required, error.available, error.shortfall], [1_020_000, 1_000_000, 20_000]);
    assert.deepEqual([error.affordableQuantity, error.problem["shortfall_usd"]], [50, "0.20"]);
    assert.match(error.detail, /Nothing was deducted/);
    assert.equal(error.name, "InsufficientCreditsError");
});

test("a 503 is waited for", async () => {
    const { proxy, workspace } = await disturbed();
    proxy.plan = [problem(503, "overloaded", true, ["retry-after: 1"])];
    const begun = performance.now();
    const charge = await platform(proxy.url).charges.create(workspace, CHARGE);
    assert.ok(since(begun) >= 1);
    assert.deepEqual([charge.replayed, new Set(proxy.keys()).size, proxy.requests.length], [false, 1, 2]);
});

test("the rate limit of a server is waited for", async () => {
    const slow = await start({ WORKSPACE_KEY_REQUESTS_PER_SECOND: "1" });
    const workspace = await workspaceOf(platform(slow));
    const { secret } = await platform(slow).apiKeys.create(workspace, { name: "reader", scopes: ["read"] });
    const statuses: number[] = [];
    const noting: typeof fetch = async (...request) => {
        const response = await fetch(...request);
        statuses.push(response.status);
        return response;
    };
    const reader = new Client(slow, secret ?? "", { fetch: noting, maxAttempts: 10 });
    while (!statuses.includes(429)) assert.equal(await available(reader, workspace), 1_000_000);
    assert.deepEqual(statuses.slice(-2), [429, 200]);
});

test("attempts end, and a pause beyond the deadline is not made", async () => {
    const { proxy, workspace } = await disturbed();
    proxy.plan = Array.from({ length: 9 }, () => problem(503, "store_unavailable", true));
    const promise = platform(proxy.url, { maxAttempts: 3 }).charges.create(workspace, CHARGE);
    await assert.rejects(promise, { status: 503 });
    assert.equal(proxy.requests.length, 3);
    proxy.plan = [problem(429, "rate_limited", true, ["retry-after: 3600"])];
    await assert.rejects(platform(proxy.url).charges.create(workspace, CHARGE), { retryAfterSeconds: 3600 });
});

test("a deadline holds over all attempts", async () => {
    const { proxy, workspace } = await disturbed();
    proxy.plan = Array.from({ length: 9 }, () => "hang" as const);
    const begun = performance.now();
    const bounds = { attemptTimeoutSeconds: 0.2, totalTimeoutSeconds: 2, maxAttempts: 9 };
    await errorOf(DeadlineExceededError, platform(proxy.url).charges.create(workspace, CHARGE, bounds));
    assert.ok(since(begun) >= 0.2 && since(begun) < 20);
    assert.ok(proxy.requests.length >= 2);
});

test("an attempt that hangs is given up for another", async () => {
    const { proxy, workspace } = await disturbed();
    proxy.plan = ["hang"];
    await platform(proxy.url, { attemptTimeoutSeconds: 0.5 }).charges.create(workspace, CHARGE);
    assert.equal(await available(client, workspace), 980_000);
});

test("a signal ends a call, also in a pause", async () => {
    const { proxy, workspace } = await disturbed();
    const stop = new AbortController();
    proxy.plan = [problem(503, "overloaded", true, ["retry-after: 30"])];
    const promise = platform(proxy.url).workspaces.balance(workspace, {}, { signal: stop.signal });
    while (proxy.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    stop.abort(new RangeError("enough"));
    await assert.rejects(promise, RangeError);
    await assert.rejects(client.platform.health({ signal: stop.signal }), RangeError);
});

test("a server that is away is a broken connection", async () => {
    const away = platform(`http://127.0.0.1:${await freePort()}`, { maxAttempts: 2 });
    assert.equal((await errorOf(ConnectionFailedError, away.platform.health())).wasSent, false);
});

test("a newer server does not break the client", async () => {
    const { proxy, workspace } = await disturbed();
    const { charges } = platform(proxy.url);
    const charge = await charges.create(workspace, CHARGE);
    const newer = { ...charge, status: "suspended", score: 0.5, parts: [{ a: null }] };
    proxy.plan = [answer(200, newer), problem(409, "of_a_newer_server", false, [], { depth: { a: 1 } })];
    const read = await charges.get(workspace, charge.id);
    assert.deepEqual([read.status, (read as { parts?: unknown }).parts], ["suspended", [{ a: null }]]);
    const error = await errorOf(ApiError, charges.get(workspace, charge.id));
    assert.deepEqual([error.code, error.problem["depth"]], ["of_a_newer_server", { a: 1 }]);
    proxy.plan = [problem(402, "constructor", false)];
    await errorOf(PaymentRequiredError, charges.create(workspace, CHARGE));
});

test("an answer of something else says so", async () => {
    const { proxy, workspace } = await disturbed();
    const disturbedClient = platform(proxy.url, { maxAttempts: 2 });
    proxy.plan = [answer(502, "<h1>Bad gateway</h1>", [], "text/html")];
    assert.equal(await available(disturbedClient, workspace), 1_000_000);
    for (const [status, body] of [[404, "<h1>Not found</h1>"], [200, "<h1>Welcome</h1>"], [200, [1]], [301, "x"]]) {
        proxy.plan = [answer(status as number, body)];
        const before = proxy.requests.length;
        const error = await errorOf(UnexpectedAnswerError, disturbedClient.workspaces.balance(workspace));
        assert.deepEqual([error.status, proxy.requests.length], [status, before + 1]);
    }
});

test("numbers that are not exact are refused, before they are sent and when they come", async () => {
    const { proxy, workspace } = await disturbed();
    const { grants, workspaces } = platform(proxy.url);
    for (const amount of [0.5, 2 ** 53, NaN, Infinity, 5n as unknown as number]) {
        const promise = grants.create(workspace, { source: "promotional", amount, reason: "test" });
        await assert.rejects(promise, { name: "TypeError", message: /amount needs a safe integer/ });
    }
    assert.equal(proxy.requests.length, 0);
    proxy.plan = [answer(200, '{"available": 9007199254740993}')];
    await assert.rejects(workspaces.balance(workspace), /available is too large to be exact/);
});

test("metadata may have any numbers", async () => {
    const workspace = await workspaceOf(client);
    const charge = await client.charges.create(workspace, { ...CHARGE, metadata: { score: 0.5 } });
    assert.deepEqual(charge.metadata, { score: 0.5 });
});

test("ids stay in their place of the path, and an empty key is not replaced", async () => {
    const workspace = await workspaceOf(client);
    assert.throws(() => client.workspaces.get(""), TypeError);
    await assert.rejects(client.charges.create(workspace, CHARGE, { idempotencyKey: "" }), /Idempotency-Key/);
    const { status } = await errorOf(ApiError, client.charges.get(workspace, "../grants"));
    assert.ok(status === 400 || status === 404);
});
