// Every page in other states: a workspace at its first run, one without credit, and a full one in
// German, whose words are longer.

import { Crawl } from "../checks/crawl.mjs";

const STATES = [["acme", "lin", "de-DE"], ["fresh", "ada"], ["spent", "ada"], ["spent", "bob"]];
const LOOKS = [{ width: 390, scheme: "dark" }, { width: 1280, scheme: "light" }];

export async function run(harness) {
    const crawls = STATES.map(async ([workspace, member, locale]) => {
        const session = await harness.signIn(workspace, member, locale);
        const { pages } = await new Crawl(session, { looks: LOOKS, withoutScript: false }).run();
        await session.close();
        return pages.size;
    });
    const counts = await Promise.all(crawls);
    return `${counts.join(", ")} pages`;
}
