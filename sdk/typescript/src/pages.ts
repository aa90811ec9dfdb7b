// A list, page by page.

import type { Call, CallOptions, Page } from "./call.js";
import { UnexpectedAnswerError } from "./errors.js";
import type { Sender } from "./sender.js";

/** A list. Iterating gives each row; `pages` gives the pages, and `first` the first one. */
export class Pages<T> implements AsyncIterable<T> {
    constructor(
        private readonly sender: Sender,
        private readonly path: string,
        private readonly query: object,
        private readonly options: CallOptions,
    ) {}

    first(): Promise<Page<T>> {
        return this.page({});
    }

    async *pages(): AsyncGenerator<Page<T>> {
        let more: { cursor?: string } = {};
        for (;;) {
            const page = await this.page(more);
            yield page;
            if (page.next_cursor === null) return;
            if (page.next_cursor === more.cursor) {
                throw new UnexpectedAnswerError(`the list repeats the page ${page.next_cursor}`, 200);
            }
            more = { cursor: page.next_cursor };
        }
    }

    async *[Symbol.asyncIterator](): AsyncGenerator<T> {
        for await (const page of this.pages()) yield* page.data;
    }

    private page(more: object): Promise<Page<T>> {
        const call: Call<Page<T>> = { method: "GET", path: this.path, query: { ...this.query, ...more } };
        return this.sender.send(call, this.options);
    }
}
