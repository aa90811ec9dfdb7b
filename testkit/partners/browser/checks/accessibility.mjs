// The rules of WCAG 2 A and AA that axe checks.
//
// axe waits with timers, which a page without script does not run. There, the other checks count.

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

// What violates a rule. Colours differ in light and dark, so `isNewWidth` false checks contrast only.
export async function checkAccessibility(view, isNewWidth) {
    const { script = true } = view.look;
    if (!script) return [];
    if (!(await view.page.evaluate(() => Boolean(globalThis.axe)))) await view.page.evaluate(view.harness.axe);
    const only = isNewWidth ? { type: "tag", values: TAGS } : { type: "rule", values: ["color-contrast"] };
    const violations = await view.page.evaluate(async (runOnly) => {
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
