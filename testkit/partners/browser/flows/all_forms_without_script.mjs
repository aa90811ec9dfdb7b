// Every form that an admin and a member find is sent as in `all_forms`, by pages without script.

import { sendAll } from "./all_forms.mjs";

export const run = (harness) => sendAll(harness, false);
