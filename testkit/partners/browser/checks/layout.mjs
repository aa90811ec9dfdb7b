// What can be measured on a page: its source, and the sizes of what it shows.

const TARGET = 44;
// WCAG 2.2 AA. In the rows of a table, links may have this size where a mouse is likely.
const TARGET_IN_TABLES = 24;
const PHONE_MAX = 600;
// The narrowest window that WCAG asks for (1.4.10), which is also 1,280 pixels at 400 percent.
const NARROWEST = 320;

// Inline styles and scripts, and what every page has.
export async function checkSource(view) {
    const html = await view.response.text();
    const problems = await view.inPage("source", html);
    return [...new Set(problems)];
}

export async function checkLayout(view) {
    const { width } = view.page.viewportSize();
    const isPhone = width < PHONE_MAX;
    const problems = await view.inPage("overflow");
    const small = await view.inPage("smallTargets", TARGET, isPhone ? TARGET : TARGET_IN_TABLES);
    if (isPhone) {
        await view.page.setViewportSize({ ...view.page.viewportSize(), width: NARROWEST });
        for (const problem of await view.inPage("overflow")) problems.push(`at ${NARROWEST} pixels, ${problem}`);
        await view.page.setViewportSize({ ...view.page.viewportSize(), width });
    }
    return [...new Set([...problems, ...small])];
}
