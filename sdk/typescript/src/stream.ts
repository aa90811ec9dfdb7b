// Server-sent events of the stream of a workspace.

/** What happened. `id` is the position to continue behind: pass it as `after`. */
export interface StreamEvent {
    id: string;
    event: string;
    data: unknown;
}

/** A comment comes every 15 seconds, so a longer silence is a broken connection. */
export const SILENCE_SECONDS = 45;

export interface StreamOptions {
    /** The longest silence until the stream is given up; 45. */
    silenceSeconds?: number;
    /** Ends the stream when it is aborted. */
    signal?: AbortSignal;
}

/** Puts lines together to events. Comments and unknown fields are skipped. */
export class StreamParser {
    private id = "";
    private event = "";
    private data: string[] = [];

    /** Takes one line, and returns the event that it completes. */
    line(line: string): StreamEvent | null {
        if (line === "") {
            const { id, event, data } = this;
            [this.event, this.data] = ["", []];
            return data.length ? { id, event, data: JSON.parse(data.join("\n")) as unknown } : null;
        }
        const colon = line.indexOf(":");
        const name = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (name === "id") this.id = value;
        else if (name === "event") this.event = value;
        else if (name === "data") this.data.push(value);
        return null;
    }
}

/** The events of a body. `next` reads its next part; undefined is the end. */
export async function* eventsOf(next: () => Promise<Uint8Array | undefined>): AsyncGenerator<StreamEvent> {
    const parser = new StreamParser();
    const decoder = new TextDecoder();
    let rest = "";
    for (let part = await next(); part !== undefined; part = await next()) {
        rest += decoder.decode(part, { stream: true });
        const lines = rest.split(/\r?\n/);
        rest = lines.pop() ?? "";
        for (const line of lines) {
            const event = parser.line(line);
            if (event !== null) yield event;
        }
    }
}
