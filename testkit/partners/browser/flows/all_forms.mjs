// Every form that an admin and a member find is sent, with wrong and with right input, by pages that
// run scripts, and answers as it should.
//
// What each form does is tested by flows of their own, and by the tests of the server.

import { Crawl } from "../checks/crawl.mjs";
import { sendForms } from "../checks/forms.mjs";

// Ends the session.
const LEFT_OUT = /^\/portal\/sign-out/;

export const run = (harness) => sendAll(harness, true);

export async function sendAll(harness, script) {
    const notes = [];
    for (const member of ["bob", "ada"]) {
        const session = await harness.signIn("acme", member);
        const { forms } = await new Crawl(session, { check: false, looks: [{}] }).run();
        const wanted = [...forms.values()].filter(({ path }) => !LEFT_OUT.test(path));
        const sent = await sendForms(session, wanted, { script });
        await session.close();
        notes.push(`${wanted.length} forms of ${member}, sent ${sent} times`);
    }
    return notes.join("; ");
}
