// Listens to a page while it is open, and says what went wrong: errors in the console, requests
// that failed or went to another host, responses without the headers that protect a page, and
// pages that weigh too much with their files.

export const WEIGHT_MAX = 100_000;

const POLICY = [
    "default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'",
];
const HEADERS = [
    ["content-type", "text/html; charset=utf-8"],
    ["cache-control", "no-store"],
    ["referrer-policy", "no-referrer"],
    ["x-content-type-options", "nosniff"],
];
// A stream of events has no end, so its size says nothing.
const isStream = (request) => request.resourceType() === "eventsource";

// What is wrong with the headers of a page.
export function headerProblems(headers) {
    const policy = headers["content-security-policy"] ?? "";
    const problems = POLICY.filter((part) => !policy.includes(part)).map((part) => `the policy lacks ${part}`);
    if (policy.includes("'unsafe-")) problems.push(`the policy permits 'unsafe-…': ${policy}`);
    if (/(https?:|\*)/.test(policy)) problems.push(`the policy permits another host: ${policy}`);
    for (const [name, value] of HEADERS) {
        if (headers[name] !== value) problems.push(`${name} is ${headers[name]}, not ${value}`);
    }
    return problems;
}

export class Watch {
    constructor(page, origin) {
        Object.assign(this, { origin, problems: [], sizes: [], expected: 200 });
        const listeners = {
            console: (message) => this.#hear(message),
            pageerror: (error) => this.add(`an error of a script: ${error.message}`),
            dialog: (dialog) => {
                this.add(`a script opened a dialog: ${dialog.message()}`);
                dialog.dismiss();
            },
            request: (request) => this.#see(request),
            requestfailed: (request) => this.#fail(request),
            response: (response) => this.#receive(response),
        };
        const all = Object.entries(listeners);
        for (const [event, listener] of all) page.on(event, listener);
        this.end = () => all.forEach(([event, listener]) => page.off(event, listener));
    }

    add(problem) {
        if (!this.problems.includes(problem)) this.problems.push(problem);
    }

    // Begins with another page, which must have the status; undefined if any will do.
    restart(status) {
        this.sizes = [];
        this.expected = status;
    }

    #hear(message) {
        if (!["error", "warning"].includes(message.type())) return;
        // The browser reports the status of a page that is meant to be an error.
        const isOfStatus = message.text().startsWith("Failed to load resource") && this.expected !== 200;
        if (!isOfStatus) this.add(`the console says: ${message.text().slice(0, 200)}`);
    }

    #see(request) {
        const { origin, protocol } = new URL(request.url());
        if (origin !== this.origin && protocol !== "data:") this.add(`a request to another host: ${request.url()}`);
    }

    #fail(request) {
        const why = request.failure()?.errorText;
        const isEndOfStream = isStream(request) && why === "net::ERR_ABORTED";
        if (!isEndOfStream) this.add(`a request failed (${why}): ${request.url()}`);
    }

    #receive(response) {
        const request = response.request();
        const status = response.status();
        if (isStream(request) || (status >= 300 && status < 400)) return;
        const path = new URL(response.url()).pathname;
        if (request.isNavigationRequest()) {
            if (status !== (this.expected ?? status)) this.add(`status ${status}, not ${this.expected}`);
            for (const problem of headerProblems(response.headers())) this.add(problem);
        } else if (status >= 400) {
            this.add(`status ${status} of ${path}`);
        }
        this.sizes.push(response.body().then((body) => [path, body.length], () => [path, 0]));
    }

    // The bytes of the page with its files, uncompressed.
    async checkWeight() {
        const sizes = await Promise.all(this.sizes);
        const weight = sizes.reduce((sum, [, size]) => sum + size, 0);
        const parts = sizes.map(([path, size]) => `${path} ${size}`).join(", ");
        if (weight > WEIGHT_MAX) this.add(`${weight} bytes with its files, not ${WEIGHT_MAX}: ${parts}`);
        return weight;
    }
}
