// `run`: what is charged, kept and refunded by what the function does.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
    Client,
    InsufficientCreditsError,
    OperationAlreadyPaidError,
    OutcomeNotReportedError,
    UserError,
    type Running,
} from "tollkeeper";
import { available, platform, Proxy, start, workspaceOf } from "./support.js";

const url = await start();
const client = platform(url);
const CHARGE = { operation: "smart_pricing", quantity: 10 };
const notCalled = () => assert.fail("it was called");

async function lastCharge(workspace: string) {
    const { data } = await client.charges.list(workspace, { limit: 1 }).first();
    return client.charges.get(workspace, data[0]?.id ?? "");
}

test("a success is settled", async () => {
    const workspace = await workspaceOf(client);
    const done = await client.run(workspace, { ...CHARGE, worker: "w-7" }, async ({ charge }) => {
        assert.equal((await client.charges.get(workspace, charge.id)).status, "pending");
        return "a price";
    });
    assert.deepEqual([done.result, done.amount], ["a price", 10_000]);
    assert.deepEqual(done.balance, { available: 990_000, available_usd: "9.90" });
    assert.deepEqual([done.charge.status, done.charge.outcome, done.charge.worker], ["settled", "succeeded", "w-7"]);
});

test("a smaller quantity is settled and the rest refunded", async () => {
    const workspace = await workspaceOf(client);
    const done = await client.run(workspace, CHARGE, (running) => {
        running.quantity = 4;
    });
    assert.deepEqual([done.amount, done.balance?.available], [4_000, 996_000]);
    assert.equal(await available(client, workspace), 996_000);
});

test("an error of the user is kept", async () => {
    const workspace = await workspaceOf(client);
    const fail = () => Promise.reject(new UserError("The picture has no face."));
    await assert.rejects(client.run(workspace, CHARGE, fail), UserError);
    const charge = await lastCharge(workspace);
    assert.deepEqual([charge.status, charge.outcome], ["settled", "failed_user"]);
    assert.equal(await available(client, workspace), 990_000);
});

test("an error of the system is refunded and its text stays out of the journal", async () => {
    const workspace = await workspaceOf(client);
    const fail = () => {
        throw new RangeError("secret");
    };
    await assert.rejects(client.run(workspace, CHARGE, fail), RangeError);
    const charge = await lastCharge(workspace);
    assert.deepEqual([charge.status, charge.outcome], ["refunded", "failed_system"]);
    assert.equal(charge.refunds?.[0]?.detail, "RangeError");
    assert.equal(await available(client, workspace), 1_000_000);
});

test("the function is not called if the charge is refused", async () => {
    const workspace = await workspaceOf(client);
    await assert.rejects(client.run(workspace, { ...CHARGE, quantity: 2_000 }, notCalled), InsufficientCreditsError);
});

test("heartbeats move a short deadline", async () => {
    const workspace = await workspaceOf(client);
    const done = await client.run(workspace, { ...CHARGE, timeout_seconds: 3 }, async ({ charge }) => {
        const ends = performance.now() + 30_000;
        while (performance.now() < ends) {
            const now = await client.charges.get(workspace, charge.id);
            assert.equal(now.status, "pending", "its deadline has passed");
            // Beyond the first deadline there is only time that heartbeats have added.
            if (Date.parse(now.deadline ?? "") - Date.parse(charge.created_at) > 6_000) return true;
        }
        return assert.fail("no heartbeat moved the deadline");
    });
    assert.equal(done.charge.status, "settled");
});

test("a charge that is no longer pending is lost", async () => {
    const workspace = await workspaceOf(client);
    const lose = async (running: Running) => {
        await client.charges.refund(workspace, running.charge.id, { reason: "test" });
        await new Promise((resolve) => running.signal.addEventListener("abort", resolve));
        return running.isLost;
    };
    const error: unknown = await client.run(workspace, { ...CHARGE, timeout_seconds: 1 }, lose).catch((one) => one);
    assert.ok(error instanceof OutcomeNotReportedError);
    assert.deepEqual([error.result, (error.cause as { code?: string }).code], [true, "charge_already_refunded"]);
});

test("a key pays for one run", async () => {
    const workspace = await workspaceOf(client);
    await client.run(workspace, CHARGE, () => 1, { idempotencyKey: "job-1" });
    const again = client.run(workspace, CHARGE, notCalled, { idempotencyKey: "job-1" });
    await assert.rejects(again, { name: "OperationAlreadyPaidError", statusNow: "settled" });
    const pending = { ...CHARGE, await_outcome: true, timeout_seconds: 60 };
    await client.charges.create(workspace, pending, { idempotencyKey: "job-2" });
    await assert.rejects(client.run(workspace, CHARGE, notCalled, { idempotencyKey: "job-2" }), (error) => {
        assert.ok(error instanceof OperationAlreadyPaidError);
        return error.statusNow === "pending";
    });
    assert.equal(await available(client, workspace), 980_000);
});

test("a charge whose answer was lost is run", async () => {
    const workspace = await workspaceOf(client);
    const proxy = await Proxy.before(url);
    proxy.plan = ["cut"];
    assert.equal((await platform(proxy.url).run(workspace, CHARGE, () => "ran")).result, "ran");
    assert.equal(await available(client, workspace), 990_000);
});

test("a result is not lost with the report of success", async () => {
    const workspace = await workspaceOf(client);
    const proxy = await Proxy.before(url);
    const promise = platform(proxy.url, { maxAttempts: 1 }).run(workspace, CHARGE, () => {
        proxy.plan = ["cut"];
        return "kept";
    });
    const error: unknown = await promise.catch((one) => one);
    assert.ok(error instanceof OutcomeNotReportedError);
    assert.deepEqual([error.result, error.charge.amount], ["kept", 10_000]);
});

for (const kind of [RangeError, UserError]) {
    test(`a ${kind.name} after a refund is reported only if the charge should be kept`, async () => {
        const workspace = await workspaceOf(client);
        const unreported: unknown[] = [];
        const noting = platform(url, {
            onUnreportedOutcome: (_, error) => unreported.push((error as { code?: string }).code),
        });
        const promise = noting.run(workspace, CHARGE, async ({ charge }) => {
            await client.charges.refund(workspace, charge.id, { reason: "test" });
            throw new kind("test");
        });
        await assert.rejects(promise, kind);
        assert.deepEqual(unreported, kind === UserError ? ["charge_already_refunded"] : []);
    });
}

for (const [scopes, status] of [[["charge"], "pending"], [["charge", "settle"], "refunded"]] as const) {
    test(`a failure with the scopes ${scopes.join(", ")} leaves the charge ${status}`, async () => {
        const workspace = await workspaceOf(client);
        const { secret } = await client.apiKeys.create(workspace, { name: "worker", scopes: [...scopes] });
        const unreported: unknown[] = [];
        const worker = new Client(url, secret ?? "", {
            onUnreportedOutcome: (_, error) => unreported.push((error as { code?: string }).code),
        });
        await assert.rejects(worker.run(workspace, CHARGE, () => Promise.reject(new RangeError())), RangeError);
        assert.equal((await lastCharge(workspace)).status, status);
        assert.deepEqual(unreported, status === "pending" ? ["forbidden"] : []);
    });
}
