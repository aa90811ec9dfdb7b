// What can be measured on a page: its source, and the sizes of what it shows.

const TARGET = 44;
// WCAG 2.2 AA. In the rows of a table, links may have this size where a mouse is likely.
const TARGET_IN_TABLES = 24;
const PHONE_MAX = 600;
// A4 without margins of two centimetres, at 96 pixels an inch.
const PAPER = { width: 642, height: 971 };
// The narrowest window that WCAG asks for (1.4.10), and 1,280 pixels at 200 percent (1.4.4).
const NARROWER = { phone: 320, desktop: 640 };

// Inline styles and scripts, and what every page has.
export async function checkSource(view) {
    const html = await view.response.text();
    const problems = await view.inPage("source", html);
    return [...new Set(problems)];
}

export async function checkLayout(view) {
    const size = view.page.viewportSize();
    const isPhone = size.width < PHONE_MAX;
    const problems = await view.inPage("overflow");
    problems.push(...(await view.inPage("smallTargets", TARGET, isPhone ? TARGET : TARGET_IN_TABLES)));
    problems.push(...(await view.inPage("brokenWords")));
    if (isPhone) problems.push(...(await view.inPage("wideTables")));
    if (isPhone && view.look.script) problems.push(...(await view.inPage("hiddenTabs")));
    const width = isPhone ? NARROWER.phone : NARROWER.desktop;
    await view.page.setViewportSize({ ...size, width });
    for (const problem of await view.inPage("overflow")) problems.push(`at ${width} pixels, ${problem}`);
    await view.page.setViewportSize(size);
    return [...new Set(problems)];
}

// On paper: dark on light, also where the screen is dark, with all rows, and without the navigation.
export async function checkPrint(view) {
    const size = view.page.viewportSize();
    await view.page.setViewportSize(PAPER);
    await view.page.emulateMedia({ media: "print", colorScheme: "dark" });
    const problems = await view.inPage("printed");
    await view.page.emulateMedia({ media: null, colorScheme: view.look.scheme });
    await view.page.setViewportSize(size);
    return problems;
}
