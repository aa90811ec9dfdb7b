// A running `tollkeeper demo`, with the links that it prints.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { end, until } from "./server.mjs";

export const STATES = ["first-run", "normal", "zero-balance"];

export class Demo {
    static async start(program, state) {
        const directory = await mkdtemp(join(tmpdir(), "tollkeeper-demo-"));
        const place = ["--data", join(directory, "data"), "--listen", "127.0.0.1:0"];
        const child = spawn(program, ["demo", "--state", state, ...place], {
            env: { PATH: process.env.PATH }, stdio: ["ignore", "pipe", "pipe"],
        });
        let output = "";
        for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
        const demo = new Demo();
        Object.assign(demo, { directory, child });
        try {
            // The tour comes after the links.
            await until("tour", () => {
                assert.equal(child.exitCode, null, "the demo runs");
                return output.includes("curl ");
            });
        } catch (error) {
            await demo.stop();
            throw new Error(`the demo does not start: ${error.message}\n${output}`);
        }
        const link = (role) => output.match(new RegExp(`${role}: (http\\S+/portal/sign-in/\\S+)`))?.[1];
        demo.adminLink = link("admin");
        demo.memberLink = link("member");
        assert.ok(demo.adminLink, `the demo prints no link of an admin:\n${output}`);
        demo.url = new URL(demo.adminLink).origin;
        return demo;
    }

    async stop() {
        await end(this.child);
        await rm(this.directory, { recursive: true, force: true });
    }
}
