// Problems that flows found, and how they are printed: a problem once, with the looks that show it.

export class Report {
    #found = new Map();

    add({ page, session, look, problem }) {
        const pages = this.#found.get(page) ?? this.#found.set(page, new Map()).get(page);
        const looks = pages.get(problem) ?? pages.set(problem, new Set()).get(problem);
        looks.add(`${look}, ${session}`);
    }

    problems() {
        return [...this.#found.values()].flatMap((problems) => [...problems.keys()]);
    }

    print() {
        for (const [page, problems] of this.#found) {
            console.log(`\n${page}`);
            for (const [problem, looks] of problems) {
                const [first, ...others] = looks;
                const more = others.length ? `, and ${others.length} others` : "";
                console.log(`  ${problem}\n      at ${first}${more}`);
            }
        }
    }
}
