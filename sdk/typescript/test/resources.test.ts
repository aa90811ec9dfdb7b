// Every call of the API once, against a server of its own, and against its OpenAPI document.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "tollkeeper";
import { collect, KEY, start } from "./support.js";

const METHODS = ["get", "put", "post", "patch", "delete"] as const;
const ALWAYS = { from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z" };
// A month before everything.
const MONTH = { from: "2020-01-01T00:00:00Z", to: "2020-02-01T00:00:00Z" };

const refused = (code: string, promise: Promise<unknown>) => assert.rejects(promise, { code });
const ids = async (values: AsyncIterable<{ id: string }>) => (await collect(values)).map(({ id }) => id);

async function useWorkspaces(c: Client) {
    const made = await c.workspaces.create({ id: "acme", name: "Acme", timezone: "Europe/Berlin" });
    const query = { name: "ac", suspended: false, debt: false, unused_since: ALWAYS.to };
    assert.deepEqual(await ids(c.workspaces.list(query)), [made.id]);
    const { metadata } = await c.workspaces.update("acme", { metadata: { plan: "gold" } });
    assert.deepEqual(metadata, { plan: "gold" });
    assert.equal((await c.workspaces.get("acme")).timezone, "Europe/Berlin");
    for (const [id, role] of [["ada", "admin"], ["bob", "member"]] as const) {
        await c.members.create("acme", { id, email: `${id}@example.com`, name: id, role });
    }
    await c.members.update("acme", "bob", { name: "Bob" });
    assert.equal((await c.members.get("acme", "bob")).name, "Bob");
    assert.deepEqual(await ids(c.members.list("acme", { limit: 1 })), ["bob", "ada"]);
    assert.equal((await c.portalSessions.create("acme", { member: "bob" })).member, "bob");
    assert.equal(await c.portalSessions.delete("acme", { member: "bob" }), undefined);
    await c.members.delete("acme", "bob");
    await c.members.deletePersonalData("acme", "bob");
    const key = await c.apiKeys.create("acme", { name: "storefront", scopes: ["charge", "read"] });
    assert.ok(key.secret);
    assert.deepEqual(await ids(c.apiKeys.list("acme")), [key.id]);
    await c.apiKeys.delete("acme", key.id);
    await refused("api_key_not_found", c.apiKeys.delete("acme", key.id));
}

async function useCharges(c: Client) {
    const grant = await c.grants.create("acme", { source: "promotional", amount: 100_000, reason: "welcome" });
    assert.deepEqual(await ids(c.grants.list("acme")), [grant.id]);
    assert.ok((await c.grants.void("acme", grant.id)).voided_at);
    await c.grants.create("acme", { source: "adjustment", amount_usd: "5.00", reason: "welcome" });
    assert.equal((await c.charges.quote("acme", { operation: "smart_pricing", quantity: 3 })).amount, 3_000);
    const request = { operation: "virtual_try_on", timeout_seconds: 600, worker: "w-7" };
    const pending = await c.charges.create("acme", request);
    const extended = await c.charges.heartbeat("acme", pending.id, { extend_seconds: 900 });
    assert.ok((extended.deadline ?? "") > (pending.deadline ?? ""));
    assert.equal((await c.charges.reportOutcome("acme", pending.id, { result: "succeeded" })).status, "settled");
    const refund = await c.charges.refund("acme", pending.id, { amount: 5_000, reason: "blurred" });
    assert.deepEqual([refund.refunded_amount, refund.status_now], [5_000, "settled"]);
    assert.equal((await c.charges.get("acme", pending.id)).refunds?.[0]?.amount, 5_000);
    const item = { workspace: "acme", operation: "support_message" };
    const { results } = await c.charges.batch({
        charges: [
            { ...item, idempotency_key: "b-1" },
            { ...item, idempotency_key: "b-2", operation: "unknown" },
        ],
    });
    assert.deepEqual([results[0]?.charge?.amount, results[1]?.problem?.code], [500, "operation_not_found"]);
    const query = { operation: "virtual_try_on", worker: "w-7", status: "settled", ...ALWAYS } as const;
    assert.deepEqual(await ids(c.charges.list("acme", query)), [pending.id]);
    assert.deepEqual(await ids(c.charges.list("acme", { member: "bob", reference: "x" })), []);
    assert.equal((await c.workspaces.balance("acme", { at: pending.created_at })).pending, 20_000);
}

async function usePayments(c: Client) {
    const { id } = await c.topUps.create("acme", { amount_usd: "25.00" });
    assert.equal((await c.topUps.confirm("acme", id)).status, "succeeded");
    assert.equal((await c.topUps.get("acme", id)).status, "succeeded");
    assert.equal((await c.topUps.refund("acme", id, { amount_usd: "5.00", reason: "asked" })).credits, 500_000);
    assert.deepEqual(await ids(c.topUps.list("acme")), [id]);
    assert.deepEqual(await collect(c.topUps.unmatched()), []);
    const buy = { threshold: 1_000, amount_usd: "10.00", monthly_cap_usd: "100.00" };
    await refused("payment_method_required", c.autoTopUp.set("acme", buy));
    await refused("auto_top_up_not_found", c.autoTopUp.get("acme"));
    await refused("not_found", c.autoTopUp.saveCard("acme", {}));
    await refused("payment_method_not_found", c.autoTopUp.card("acme"));
    await refused("not_found", c.autoTopUp.billingPortal("acme", {}));
    await c.autoTopUp.delete("acme");
    await c.autoTopUp.deleteCard("acme");
    assert.equal((await c.subscription.set("acme", { plan: "starter" })).status, "pending");
    assert.equal((await c.subscription.preview("acme", { plan: "growth" })).due_now_usd, "99.00");
    assert.equal((await c.subscription.confirm("acme")).status, "active");
    assert.equal((await c.subscription.get("acme")).status, "active");
    assert.ok((await c.subscription.cancel("acme")).cancels_at);
}

async function useSettings(c: Client) {
    const limit = { subject: "worker", id: "w-7", period: "day", amount: 20_000 };
    const { limits } = await c.limits.set("acme", { limits: [limit] });
    assert.deepEqual((await c.limits.get("acme")).limits, limits);
    await refused("limit_exceeded", c.charges.create("acme", { operation: "virtual_try_on", worker: "w-7" }));
    const wanted = { thresholds: [{ amount: 5_000 }, { runway_days: 7 }], emails: ["ops@example.com"] };
    const { emails } = await c.alerts.set("acme", wanted);
    const topics = { muted: ["balance.low"] };
    const muted = await c.alerts.mute("acme", emails?.[0]?.id ?? "", topics);
    assert.deepEqual(muted.emails?.[0]?.muted, topics.muted);
    assert.deepEqual((await c.alerts.get("acme")).emails, muted.emails);
    const bounce = { email: "ops@example.com", type: "bounce", workspace: "acme" };
    assert.equal((await c.alerts.mailEvents({ events: [bounce] })).matched, 1);
    assert.equal((await c.alerts.test("acme")).data.length, 1);
    assert.equal((await c.alerts.mailDeliveries()).down, false);
}

async function useReports(c: Client) {
    const usage = await c.usage.get("acme", { group_by: "operation", timezone: "UTC", raw: true });
    assert.equal(usage.total.runs, 2);
    const filters = { operation: "x", worker: "x", member: "x", api_key: "" };
    assert.equal((await c.usage.get("acme", { ...MONTH, ...filters })).total.runs, 0);
    assert.match(await c.usage.getCsv("acme", { group_by: "operation" }), /^operation,runs,/);
    const changes = await c.usage.changes("acme", { group_by: "operation", timezone: "UTC", raw: false });
    assert.equal(changes.rows.length, 2);
    const before = { before_from: "2019-12-01", ...MONTH, ...filters };
    assert.match(await c.usage.changesCsv("acme", before), /by_price/);
    assert.ok((await c.usage.burnRate("acme", { window_days: 7, group_by: "operation" })).rows);
    assert.equal((await c.report.get({ month: "2020-01" })).is_final, true);
    assert.match(await c.report.getCsv({ month: "2020-01" }), /^month,section,/);
    const numbers = (await collect(c.journal.entries("acme", { limit: 5 }))).map(({ number }) => number);
    assert.deepEqual(numbers, Array.from(numbers, (_, index) => numbers.length - index));
    const query = { after: "0", kinds: "charge.settled", limit: 1, wait: 1 };
    const { data } = await c.journal.entriesAfter("acme", query);
    assert.deepEqual(data.map(({ kind }) => kind), ["charge.settled"]);
    for await (const { event } of c.journal.stream("acme", { after: "0", kinds: "charge.opened" })) {
        assert.equal(event, "balance");
        break;
    }
    assert.ok((await c.journal.head()).entries >= numbers.length);
}

async function useWebhookEndpoints(c: Client) {
    const { webhookEndpoints } = c;
    const made = await webhookEndpoints.create({ url: "http://127.0.0.1:9/hook", kinds: ["grant.created"] });
    const { id } = made;
    assert.equal((await webhookEndpoints.update(id, { enabled: false })).enabled, false);
    assert.equal((await webhookEndpoints.update(id, { enabled: true, from: "now" })).enabled, true);
    assert.notEqual((await webhookEndpoints.rotateSecret(id)).secret, made.secret);
    assert.equal((await webhookEndpoints.ping(id)).accepted, false);
    assert.equal((await webhookEndpoints.deliveries(id)).down, false);
    await refused("delivery_not_found", webhookEndpoints.resend(id, "msg_0"));
    assert.deepEqual(await ids(webhookEndpoints.list()), [(await webhookEndpoints.get(id)).id]);
    await webhookEndpoints.delete(id);
}

async function usePlatform(c: Client) {
    const book = await c.priceBook.get();
    const operations = [{ id: "virtual_try_on", unit_price: 30_000 }, { id: "support_message", unit_price: 500 }];
    const hour = Math.floor(Date.now() / 3_600_000);
    const [from = "", to = ""] = [hour - 24, hour + 24].map((one) => new Date(one * 3_600_000).toISOString());
    assert.equal((await c.priceBook.simulate({ operations, from, to })).used_workspaces, 1);
    const planned = await c.priceBook.set({ operations, effective_at: ALWAYS.to });
    const versions = (await collect(c.priceBook.versions({ limit: 1 }))).map(({ version }) => version);
    assert.deepEqual(versions, [planned.version, book.version]);
    const plan = { id: "solo", name: "Solo", price_usd: "9.00", credits: 900_000, interval: "month" };
    assert.deepEqual((await c.plans.set({ plans: [plan] })).plans, (await c.plans.get()).plans);
    const settings = { refund_window_days: 60 };
    assert.deepEqual(await c.platform.set(settings), settings);
    assert.deepEqual(await c.platform.get(), settings);
    assert.equal((await c.platform.confirmClock()).was_held, false);
    assert.equal((await c.platform.health()).status, "ok");
    assert.equal((await c.platform.ready()).status, "ok");
    assert.match(await c.platform.metrics(), /tollkeeper_http_requests_total/);
}

type Document = { paths: Record<string, Record<string, { parameters?: { in: string; name: string }[] }>> };

/** Each call with each of its query parameters, as texts. */
function callsOf({ paths }: Document): Set<string> {
    const calls = new Set<string>();
    for (const [path, byMethod] of Object.entries(paths)) {
        for (const method of METHODS.filter((one) => one in byMethod)) {
            calls.add(`${method} ${path}`);
            for (const { in: place, name } of byMethod[method]?.parameters ?? []) {
                if (place === "query") calls.add(`${method} ${path} ${name}`);
            }
        }
    }
    return calls;
}

test("every call of the document is made", async () => {
    const url = await start({ WEBHOOKS_ALLOW_HTTP: "true", WEBHOOKS_ALLOW_PRIVATE: "true", WEBHOOKS_PORTS: "9" });
    const seen: { method: string; url: URL }[] = [];
    const noting: typeof fetch = (input, init) => {
        seen.push({ method: (init?.method ?? "").toLowerCase(), url: new URL(String(input)) });
        return fetch(input, init);
    };
    const client = new Client(url, KEY, { fetch: noting });
    const uses = [useWorkspaces, useCharges, usePayments, useSettings, useReports, useWebhookEndpoints, usePlatform];
    for (const use of uses) await use(client);
    const document = (await (await fetch(`${url}/openapi.json`)).json()) as Document;
    const templates = Object.keys(document.paths).sort((a, b) => a.split("{").length - b.split("{").length);
    const made = new Set<string>();
    for (const { method, url } of seen) {
        const path = templates.find((one) =>
            new RegExp(`^${one.replace(/\{\w+\}/g, "[^/]+")}$`).test(url.pathname),
        );
        made.add(`${method} ${path}`);
        for (const name of url.searchParams.keys()) made.add(`${method} ${path} ${name}`);
    }
    const wanted = callsOf(document);
    const unused = [...wanted].filter((one) => !made.has(one) && !/ (cursor|limit)$/.test(one));
    assert.deepEqual(unused, []);
    assert.deepEqual([...made].filter((one) => !wanted.has(one)), []);
});
