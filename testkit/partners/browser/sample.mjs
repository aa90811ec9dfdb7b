// Workspaces for the tests in a browser, made by the API.
//
//   acme   has everything that pages show, with hostile names, and links to every kind of page
//   fresh  is a first run: an admin, and nothing else
//   spent  has used its last credit

import assert from "node:assert/strict";

// Texts that break a page, a script, a mail or a spreadsheet if they are not escaped.
export const HOSTILE = {
    markup: `<img src=x onerror="alert(1)">`,
    script: `"'><script>alert(2)</script>`,
    formula: `=HYPERLINK("http://other.example","Refund")`,
    long: "W".repeat(60),
};

const OPERATIONS = ["virtual_try_on", "product_listing", "background_removal", "support_message", "smart_pricing"];
// The ids of workers cannot have quotes or angle brackets, but two of these begin like formulas.
const LONGEST = "a-worker.with_the:longest@id.that.is.permitted-0123456789-abcdef";
const WORKERS = ["studio-1", "studio-2", "@SUM:A1", "-9", LONGEST];

const workspacePath = (workspace) => `/v1/workspaces/${workspace}`;

async function addMembers(server, workspace, members) {
    for (const [id, role, name] of members) {
        const email = `${id}@example.com`;
        await server.call("POST", `${workspacePath(workspace)}/members`, { id, email, name, role });
    }
}

const grant = (server, workspace, amount, reason) =>
    server.move(`${workspacePath(workspace)}/grants`, { source: "promotional", amount, reason });

async function addMoney(server, acme) {
    await grant(server, "acme", 500_000, HOSTILE.markup);
    const { id } = await server.move(`${acme}/top-ups`, { amount_usd: "25.00" });
    await server.call("POST", `${acme}/top-ups/${id}/confirm`);
    await server.move(`${acme}/top-ups`, { amount_usd: "40.00" });
    await server.call("PUT", `${acme}/subscription`, { plan: "starter" });
    await server.move(`${acme}/subscription/confirm`);
}

async function addSettings(server, acme) {
    await server.call("PUT", `${acme}/alerts`, {
        thresholds: [{ amount_usd: "5.00" }, { runway_days: 7 }],
        emails: ["ada@example.com", "finance@example.com"],
    });
    await server.call("PUT", `${acme}/limits`, {
        limits: [
            { subject: "workspace", period: "month", amount: 90_000_000 },
            { subject: "member", id: "bob", period: "day", amount: 9_000_000 },
            { subject: "worker", id: "studio-1", period: "day", amount: 9_000_000 },
        ],
    });
    await server.call("POST", `${acme}/api-keys`, { name: HOSTILE.script, scopes: ["charge", "read"] });
    await server.call("POST", `${acme}/api-keys`, { name: "Bob's script", scopes: ["charge"], member: "bob" });
}

// Sixty-five charges, so that lists have a second page; one of each kind of end.
async function addCharges(server, acme) {
    const references = Object.values(HOSTILE);
    const charges = Array.from({ length: 60 }, (_, index) => ({
        workspace: "acme",
        idempotency_key: `sample-${index}`,
        operation: OPERATIONS[index % OPERATIONS.length],
        quantity: 1 + (index % 3),
        worker: WORKERS[index % WORKERS.length],
        member: index % 2 ? "bob" : "eve",
        reference: references[index % references.length],
    }));
    const { results } = await server.call("POST", "/v1/charges/batch", { charges });
    assert.ok(results.every((result) => result.charge), JSON.stringify(results.find((result) => result.problem)));
    const waiting = [];
    for (let index = 0; index < 4; index += 1) {
        const body = { operation: OPERATIONS[index], worker: "studio-1", member: "bob", await_outcome: true };
        waiting.push(await server.move(`${acme}/charges`, body));
    }
    const end = (index, outcome) => server.call("POST", `${acme}/charges/${waiting[index].id}/outcome`, outcome);
    await end(0, { result: "failed", fault: "system", detail: HOSTILE.script });
    await end(1, { result: "failed", fault: "user", detail: HOSTILE.markup });
    await end(2, { result: "succeeded" });
    const { id } = await server.move(`${acme}/charges`, { operation: "virtual_try_on", worker: "studio-2" });
    await server.move(`${acme}/charges/${id}/refund`, { amount: 5_000, reason: HOSTILE.formula });
    const tooMuch = { operation: "virtual_try_on", quantity: 1_000_000 };
    const refused = await server.ask("POST", `${acme}/charges`, tooMuch, { "idempotency-key": "too-much" });
    assert.equal(refused.status, 402);
}

export async function fillSample(server) {
    for (const [id, name] of [["acme", `Acme ${HOSTILE.markup}`], ["fresh", "Fresh"], ["spent", "Spent"]]) {
        await server.call("POST", "/v1/workspaces", { id, name, timezone: "Asia/Kathmandu" });
    }
    await addMembers(server, "acme", [
        ["ada", "admin", `Ada ${HOSTILE.script}`],
        ["lin", "admin", HOSTILE.long],
        ["bob", "member", HOSTILE.formula],
        ["eve", "member", "Eve"],
    ]);
    await addMembers(server, "fresh", [["ada", "admin", "Ada"]]);
    await addMembers(server, "spent", [["ada", "admin", "Ada"], ["bob", "member", "Bob"]]);
    const acme = workspacePath("acme");
    await addMoney(server, acme);
    await addSettings(server, acme);
    await addCharges(server, acme);
    await grant(server, "spent", 20_000, "Welcome");
    await server.move(`${workspacePath("spent")}/charges`, { operation: "virtual_try_on", worker: "studio-1" });
}
