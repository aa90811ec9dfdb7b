// The rules of WCAG 2 A and AA that axe checks.
//
// axe waits with timers, which do not run in a page without script. There it checks a copy of the
// document, with the scripts left out, in a page that runs them.

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

// What violates a rule. Colours differ in light and dark, so `isNewWidth` false checks contrast only.
export async function checkAccessibility(view, isNewWidth) {
    const page = await pageWithTimers(view);
    if (!(await page.evaluate(() => Boolean(globalThis.axe)))) await page.evaluate(view.harness.axe);
    const only = isNewWidth ? { type: "tag", values: TAGS } : { type: "rule", values: ["color-contrast"] };
    const violations = await page.evaluate(async (runOnly) => {
        const { violations } = await axe.run(document, { runOnly, resultTypes: ["violations"] });
        return violations.map(({ id, help, nodes }) => ({
            id, help, nodes: nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`),
        }));
    }, only);
    return violations.map(({ id, help, nodes }) => {
        const first = nodes.slice(0, 3).join("; ").replace(/\s+/g, " ");
        return `axe ${id} (${help}), ${nodes.length} elements: ${first}`;
    });
}

// The page of the view, or the copy.
async function pageWithTimers(view) {
    if (view.look.script) return view.page;
    const url = view.page.url();
    const html = await view.page.evaluate(() => {
        const root = document.documentElement.cloneNode(true);
        for (const script of root.querySelectorAll("script")) script.remove();
        return `<!doctype html>${root.outerHTML.replace(/<(\/?)noscript/g, "<$1div")}`;
    });
    if (view.copy?.html !== html) {
        const page = view.copy?.page ?? (await view.session.blankPage());
        await page.unrouteAll();
        await page.route((one) => one.href === url, (route) =>
            route.fulfill({ contentType: "text/html; charset=utf-8", body: html }));
        await page.goto(url);
        view.copy = { page, html };
    }
    const { page } = view.copy;
    await page.setViewportSize(view.page.viewportSize());
    await page.emulateMedia({ colorScheme: view.look.scheme, reducedMotion: "reduce" });
    return page;
}
