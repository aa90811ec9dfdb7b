// Pages to which no link of a page leads: those of people who are not signed in, those behind links
// in mails, and problems. For pictures; flows test what these pages do.

const ALERTS = "/v1/workspaces/acme/alerts";
const ADDRESS = "reader@example.com";

// Calls `look` with each page and its name.
export async function pagesOfVisitors(harness, locale, look) {
    await signsIn(harness, locale, look);
    await followsMails(harness, locale, look);
    await meetsProblems(harness, locale, look);
}

async function signsIn(harness, locale, look) {
    const link = await harness.server.signInLink("acme", "bob");
    const visitor = harness.visitor("a visitor", locale);
    const view = await visitor.open("/portal", {}, 401);
    await look(view, "not-signed-in");
    await view.go(link);
    await look(view, "sign-in");
    await view.page.getByRole("button").first().click();
    await view.page.waitForURL("**/portal");
    const other = await harness.visitor("another visitor", locale).open(link, {}, 410);
    await look(other, "used-link");
    await view.leave(() => view.page.locator("form[action='/portal/sign-out'] button").click());
    await look(view, "signed-out");
    for (const { session } of [view, other]) await session.close();
}

async function followsMails(harness, locale, look) {
    const { server } = harness;
    const thresholds = [{ amount_usd: "5.00" }];
    await server.call("PUT", ALERTS, { thresholds, emails: [ADDRESS] });
    const { id } = await server.move("/v1/workspaces/acme/top-ups", { amount_usd: "30.00" });
    for (const [path, name] of [["/mail/confirm/", "confirm"], ["/mail/unsubscribe/", "unsubscribe"]]) {
        const link = await server.linkInMail(ADDRESS, path);
        const view = await harness.visitor("a visitor", locale).open(link);
        await look(view, `mail-${name}`);
        await view.leave(() => view.page.getByRole("button").first().click());
        await look(view, `mail-${name}-done`);
        if (name === "confirm") {
            await server.call("POST", `/v1/workspaces/acme/top-ups/${id}/confirm`);
            await view.go(`${link}x`, 404);
            await look(view, "mail-broken-link");
        }
        await view.session.close();
    }
}

async function meetsProblems(harness, locale, look) {
    const bob = await harness.signIn("acme", "bob", locale);
    const view = await bob.open("/portal/credits", {}, 403);
    await look(view, "only-admins");
    await view.go("/portal/nothing-here", 404);
    await look(view, "no-such-page");
    await view.go("/portal/charges/ch_00000000-0000-0000-0000-000000000000", undefined);
    await look(view, "no-such-charge");
    await bob.close();
}
