// The page with the keyboard alone: the Tab key reaches every link, button and field in the order
// of the page, each is seen when it has the focus, and the first link skips the navigation.

// A date field has a stop for each of its parts, which the page cannot see.
const STOPS_IN_A_FIELD = 6;

export async function checkKeyboard(view) {
    const { names, before, inMain } = await view.inPage("prepareTabbing");
    const problems = [];
    const reached = [];
    let [last, inField] = [null, 0];
    for (let presses = 0; presses < names.length * STOPS_IN_A_FIELD + 10; presses += 1) {
        await view.page.keyboard.press("Tab");
        const stop = await view.inPage("focused");
        if (!stop || (reached.length && stop.index === reached[0] && last !== stop.index)) break;
        if (stop.index === last && stop.index >= 0) {
            inField += 1;
            if (inField > STOPS_IN_A_FIELD) {
                problems.push(`the Tab key does not leave ${stop.name}`);
                break;
            }
            continue;
        }
        [last, inField] = [stop.index, 0];
        problems.push(...problemsOf(stop));
        if (stop.index >= 0) reached.push(stop.index);
    }
    const missed = names.filter((_, index) => !reached.includes(index));
    if (missed.length) problems.push(`the Tab key does not reach ${missed.slice(0, 5).join(", ")}`);
    if (reached.some((index, at) => at > 0 && index < reached[at - 1])) {
        problems.push(`the Tab key goes in another order than the page: ${reached.join(" ")}`);
    }
    if (before > 1) problems.push(...(await checkSkipLink(view, inMain > 0)));
    return [...new Set(problems)];
}

function problemsOf({ index, name, isInside, isCovered, isChanged, isScroller }) {
    // The browser itself lets the keyboard scroll a wide table.
    if (index < 0) return isScroller ? [] : [`the Tab key stops at ${name}, which is no control`];
    const problems = [];
    if (!isChanged) problems.push(`focus is not visible: ${name}`);
    if (!isInside) problems.push(`focus is outside of the window: ${name}`);
    else if (isCovered) problems.push(`focus is covered: ${name}`);
    return problems;
}

async function checkSkipLink(view, hasControls) {
    await view.inPage("prepareTabbing");
    await view.page.keyboard.press("Tab");
    const first = await view.inPage("focused");
    if (!first?.href?.startsWith("#")) {
        return [`the first stop is no link that skips the navigation: ${first?.name}`];
    }
    await view.page.keyboard.press("Enter");
    await view.page.keyboard.press("Tab");
    const next = await view.inPage("focused");
    // If the main part has no control, the focus goes to what follows it.
    if (!hasControls || !next || next.isInMain) return [];
    return [`the skip link leads to ${next.name}, outside of main`];
}
