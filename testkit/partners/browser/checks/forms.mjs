// Sends the forms that a crawl has found: with wrong input, and with every field filled in. The
// page that follows has every check, or what `look` does with it. A refused form keeps the input,
// and says what is wrong beside the field. A page that asks once more is answered. All by the
// keyboard.

import { shown } from "../harness.mjs";

const WHEN_RIGHT = { width: 390, scheme: "light" };
const WHEN_WRONG = { width: 1280, scheme: "dark" };
const PERMITTED = [200, 402, 409, 422, 429];
const ASKED_AGAIN_MAX = 2;

// Returns how often something was sent. `script` says whether pages run scripts; by default those
// with wrong input do, and those with right input do not.
export async function sendForms(session, forms, { script, look = (view) => view.check() } = {}) {
    let sent = 0;
    for (const form of forms) {
        // A check of pages reports a form without a button.
        if (!form.buttons.length) continue;
        sent += await send(session, form, false, { ...WHEN_WRONG, script: script ?? true }, look);
        sent += await send(session, form, true, { ...WHEN_RIGHT, script: script ?? false }, look);
    }
    return sent;
}

// Sends a form, and what it asks for again. Returns how often something was sent.
async function send(session, form, isRight, size, look) {
    const view = await session.open(form.page, size);
    view.watch.problems.length = 0; // The crawl has reported them.
    let sent = 0;
    for (let index = await find(view, form); index >= 0 && sent <= ASKED_AGAIN_MAX; sent += 1) {
        await view.inPage("fillIn", index, isRight || sent > 0);
        const name = `${shown(form.path)}${isRight ? "" : " with wrong input"}${sent ? ", confirmed" : ""}`;
        const status = await pressEnter(view, index, name);
        if (!status) break;
        view.name = `the answer of ${name}`;
        if (!PERMITTED.includes(status)) view.report(`status ${status}`);
        if (status === 422) for (const problem of await view.inPage("refusal")) view.report(problem);
        await look(view);
        index = status === 200 ? await findConfirmation(view) : -1;
    }
    await view.close();
    return sent;
}

// The number of the form in the page; -1 if an act before has removed it.
async function find(view, { path, fields }) {
    const names = Object.keys(fields).sort().join();
    const forms = await view.inPage("forms");
    return forms.findIndex((one) =>
        new URL(one.action).pathname === path && one.fields.map(([name]) => name).sort().join() === names);
}

async function findConfirmation(view) {
    const forms = await view.inPage("forms");
    return forms.findIndex(({ fields }) => fields.some(([name]) => name === "confirmed"));
}

// Presses the first button of the form by the keyboard. Returns the status of the page that follows.
async function pressEnter(view, index, name) {
    const form = view.page.locator("form").nth(index);
    await form.locator("button:not([type=button]), input[type=submit]").first().focus();
    try {
        return await view.leave(() => view.page.keyboard.press("Enter"));
    } catch (error) {
        view.report(`the form ${name} was not sent: ${error.message.split("\n")[0]}`);
        return null;
    }
}
