// Every form that an admin finds is sent, with wrong and with right input, and answers as it should.
//
// What each form does is tested by flows of their own, and by the tests of the server.

import { Crawl } from "../checks/crawl.mjs";
import { sendForms } from "../checks/forms.mjs";

// Ends the session.
const LEFT_OUT = /^\/portal\/sign-out/;

export async function run(harness) {
    const ada = await harness.signIn("acme", "ada");
    const { forms } = await new Crawl(ada, { check: false, looks: [{}] }).run();
    const wanted = [...forms.values()].filter(({ path }) => !LEFT_OUT.test(path));
    const sent = await sendForms(ada, wanted);
    await ada.close();
    return `${wanted.length} forms, sent ${sent} times`;
}
