// The first example of the README runs as it is printed.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { KEY, start } from "./support.js";

test("the first example runs", async () => {
    const readme = await readFile(join("node_modules", "tollkeeper", "README.md"), "utf8");
    const example = /```js\n(.*?)```/s.exec(readme)?.[1] ?? "";
    const env = { ...process.env, TOLLKEEPER_URL: await start(), TOLLKEEPER_KEY: KEY };
    const command = ["--input-type=module", "--eval", example];
    const { stdout } = await promisify(execFile)(process.execPath, command, { env, timeout: 60_000 });
    assert.equal(stdout, "A shirt in blue: 0.20 USD, 9.80 USD are left\n");
});
