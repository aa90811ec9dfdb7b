// Functions that run inside a page, as `tollkeeperChecks`. Each looks at the present state and
// returns plain values at once, because nothing that waits runs in a page without script.
//
// An element is described as a person would find it: `a.primary "Add credits"`.

globalThis.tollkeeperChecks = (() => {
    const MARGIN = 1; // pixels of rounding
    const CONTROLS = "a[href], button, input:not([type=hidden]), select, textarea, summary";

    const SENDING = "button:not([type=button]), input[type=submit]";

    const text = (element) => (element.innerText ?? element.textContent ?? "").replace(/\s+/g, " ").trim();

    function describe(element) {
        if (!element || element === document.body) return "the page";
        const id = element.id ? `#${element.id}` : "";
        const classes = [...element.classList].map((name) => `.${name}`).join("");
        const name = element.getAttribute("name") ? `[name=${element.getAttribute("name")}]` : "";
        return `${element.localName}${id}${classes}${name} "${text(element).slice(0, 40)}"`;
    }

    const isVisible = (element) =>
        element.checkVisibility({ checkVisibilityCSS: true }) && element.getClientRects().length > 0;

    // Hidden from the eye, and read by screen readers.
    function isForReadersOnly(element) {
        for (let one = element; one && one !== document.body; one = one.parentElement) {
            const { width, height } = one.getBoundingClientRect();
            const { clipPath, overflow, position } = getComputedStyle(one);
            const isTiny = width <= 1 || height <= 1 || clipPath === "inset(50%)";
            if (position === "absolute" && isTiny && overflow !== "visible") return true;
        }
        return false;
    }

    const isScroller = (element) => /auto|scroll/.test(getComputedStyle(element).overflowX);

    function scrollerOf(element) {
        for (let one = element.parentElement; one; one = one.parentElement) if (isScroller(one)) return one;
        return null;
    }

    // What is wider than the window, or cut off.
    function overflow() {
        const found = [];
        const width = document.documentElement.clientWidth;
        if (document.documentElement.scrollWidth > width) {
            const wide = [...document.body.querySelectorAll("*")].filter(
                (element) =>
                    isVisible(element) && !isForReadersOnly(element) && !scrollerOf(element) &&
                    element.getBoundingClientRect().right > width + MARGIN &&
                    ![...element.children].some((child) => child.getBoundingClientRect().right > width + MARGIN));
            const names = wide.slice(0, 5).map(describe).join(", ");
            found.push(`the page is ${document.documentElement.scrollWidth} pixels wide: ${names}`);
        }
        for (const element of document.body.querySelectorAll("*")) {
            const isCut = /hidden|clip/.test(getComputedStyle(element).overflowX);
            if (!isCut || !isVisible(element) || isForReadersOnly(element) || !text(element)) continue;
            const isWider = element.scrollWidth > element.clientWidth + MARGIN;
            if (isWider) found.push(`text is cut off: ${describe(element)}`);
        }
        return found;
    }

    // A word that ends in one line and begins in another: letters only, so ids and long names may.
    function brokenWords() {
        const found = [];
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        const range = document.createRange();
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            const parent = node.parentElement;
            if (!node.data.trim() || !isVisible(parent) || isForReadersOnly(parent)) continue;
            for (const { 0: word, index } of node.data.matchAll(/(?<!\S)[\p{L}_]{2,20}[.,:;!?)]*(?!\S)/gu)) {
                range.setStart(node, index);
                range.setEnd(node, index + word.length);
                const lines = new Set([...range.getClientRects()].map(({ bottom }) => Math.round(bottom)));
                if (lines.size > 1) found.push(`a word is broken: ${word} in ${describe(parent)}`);
            }
        }
        return found.slice(0, 5);
    }

    // A table that does not fit, besides the figures of charts, which have many columns.
    function wideTables() {
        const wide = [...document.querySelectorAll("table")].filter((table) => {
            const scroller = scrollerOf(table);
            return isVisible(table) && scroller && !table.closest("details") &&
                scroller.scrollWidth > scroller.clientWidth + MARGIN;
        });
        return wide.map((table) => `on a phone, a table does not fit: ${describe(table)}`);
    }

    // The page that is shown, in a navigation that is wider than the window.
    function hiddenTabs() {
        const tabs = [...document.querySelectorAll("nav [aria-current=page]")].filter((tab) => {
            const { left, right } = tab.getBoundingClientRect();
            return isVisible(tab) && (left < 0 || right > document.documentElement.clientWidth);
        });
        return tabs.map((tab) => `the present page is out of sight in the navigation: ${describe(tab)}`);
    }

    // From 0, black, to 255. A colour that lets the paper through is as light as paper.
    function lightness(colour) {
        const [red, green, blue, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
        return (0.3 * red + 0.6 * green + 0.1 * blue) * alpha + 255 * (1 - alpha);
    }

    // What is wrong with the page on paper.
    function printed() {
        const found = [];
        for (const element of [document.documentElement, document.body]) {
            const colour = getComputedStyle(element).backgroundColor;
            if (lightness(colour) < 240) found.push(`on paper, the background is ${colour}`);
        }
        const main = document.querySelector("main");
        if (main && lightness(getComputedStyle(main).color) > 110) found.push("on paper, the text is pale");
        for (const nav of document.querySelectorAll("nav")) {
            if (isVisible(nav)) found.push(`on paper, there is ${describe(nav)}`);
        }
        for (const box of document.querySelectorAll("section, form, figure")) {
            if (isVisible(box) && !text(box)) found.push(`on paper, there is an empty ${describe(box)}`);
        }
        for (const table of document.querySelectorAll("table")) {
            if (!isVisible(table)) found.push(`on paper, rows are hidden: ${describe(table)}`);
            else if (scrollerOf(table)) found.push(`on paper, a table is cut off: ${describe(table)}`);
        }
        return found;
    }

    // A link inside a sentence needs no size of its own.
    function standsAlone(element) {
        if (element.localName !== "a" || getComputedStyle(element).display !== "inline") return true;
        const block = element.closest("p, li, dd, dt, td, th, figcaption, caption, h1, h2, h3, div, section, nav");
        return !block || text(block) === text(element);
    }

    // Boxes that react to a press on the element: its own and those of its labels.
    const boxes = (element) =>
        [element, ...(element.labels ?? [])].filter(isVisible).map((part) => part.getBoundingClientRect());

    // Whether points that are `size` apart around the middle all press the element.
    function isPressed(element, size) {
        element.scrollIntoView({ block: "center" });
        const { left, top, width, height } = element.getBoundingClientRect();
        const [x, y, far] = [left + width / 2, top + height / 2, size / 2 - MARGIN];
        const points = [[x, y - far], [x, y + far], [x - Math.min(far, x), y], [x + far, y]];
        return points.every(([px, py]) => {
            const hit = document.elementFromPoint(px, py);
            return hit && [element, ...(element.labels ?? [])].some((part) => part.contains(hit));
        });
    }

    // Controls that are smaller than `size` pixels; those in the rows of a table than `inTables`.
    function smallTargets(size, inTables) {
        const found = [];
        for (const element of document.querySelectorAll(CONTROLS)) {
            if (!isVisible(element) || isForReadersOnly(element) || !standsAlone(element)) continue;
            const wanted = element.closest("tbody") ? inTables : size;
            const isLarge = ({ width, height }) => Math.min(width, height) > wanted - MARGIN;
            if (boxes(element).some(isLarge) || isPressed(element, wanted)) continue;
            const { width, height } = element.getBoundingClientRect();
            found.push(`${describe(element)} is ${Math.round(width)}×${Math.round(height)}, not ${wanted} pixels`);
        }
        return found;
    }

    // One radio button of a group is a stop: the one that is chosen, or else the first.
    function isStopOfGroup(element) {
        if (element.type !== "radio") return true;
        const group = [...document.querySelectorAll("input[type=radio]")].filter(
            (other) => other.name === element.name && other.form === element.form && !other.disabled);
        return (group.find((other) => other.checked) ?? group[0]) === element;
    }

    const look = (element) => {
        const style = getComputedStyle(element);
        const { outlineStyle, outlineWidth, outlineColor } = style;
        const hasOutline = outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
        const outline = hasOutline ? [outlineStyle, outlineWidth, outlineColor] : "no outline";
        const { boxShadow, borderColor, backgroundColor, fill, stroke } = style;
        return JSON.stringify([outline, boxShadow, borderColor, backgroundColor, fill, stroke]);
    };

    // The element and what may show its focus: a label around a check box, the text beside it.
    function showers(element) {
        const beside = element.localName === "input" ? element.nextElementSibling : null;
        return [element, element.parentElement, beside, element.closest("label")].filter(Boolean);
    }

    let stops = [];

    // The next Tab key goes to the first stop of the page, as after it was opened.
    function goToStart() {
        scrollTo(0, 0);
        const start = document.createElement("span");
        start.tabIndex = -1;
        document.body.prepend(start);
        start.focus();
        start.remove();
    }

    // Remembers what the Tab key must reach, in order, and how it looks without focus.
    function prepareTabbing() {
        goToStart();
        const all = [...document.querySelectorAll(`${CONTROLS}, [tabindex]`)];
        stops = all
            .filter((element) => element.tabIndex >= 0 && !element.disabled && isVisible(element) &&
                !element.closest("[inert]") && isStopOfGroup(element))
            .map((element) => ({ element, looks: showers(element).map(look) }));
        const main = document.querySelector("main");
        const before = main ? stops.filter(({ element }) => main.compareDocumentPosition(element) & 2) : [];
        const inMain = stops.filter(({ element }) => main?.contains(element));
        return { names: stops.map(({ element }) => describe(element)), before: before.length, inMain: inMain.length };
    }

    // The stop that has the focus: its number among the stops (-1: none of them), and whether it is seen.
    function focused() {
        const element = document.activeElement;
        if (!element || element === document.body || element === document.documentElement) return null;
        const index = stops.findIndex((stop) => stop.element === element);
        const box = element.getBoundingClientRect();
        const isInside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
        const hit = document.elementFromPoint(
            Math.min(Math.max(box.left + box.width / 2, 0), innerWidth - 1),
            Math.min(Math.max(box.top + box.height / 2, 0), innerHeight - 1));
        const parts = showers(element).filter((part) => part !== element.parentElement);
        const isCovered = !hit || !parts.some((part) => part.contains(hit) || hit.contains(part));
        const isChanged = index >= 0 && showers(element).some((part, at) => look(part) !== stops[index].looks[at]);
        return {
            index, name: describe(element), isInside, isCovered, isChanged, isScroller: isScroller(element),
            isInMain: Boolean(element.closest("main")), href: element.getAttribute("href"),
        };
    }

    // What a page links to, and its forms with the fields as they are filled in.
    function links() {
        return [...document.querySelectorAll("a[href]")].map((link) => ({
            url: link.href.split("#")[0], isDownload: link.hasAttribute("download"), text: text(link),
        }));
    }

    function forms() {
        return [...document.forms].map((form) => ({
            method: form.method,
            action: form.getAttribute("action") === null ? location.href : form.action,
            fields: [...new FormData(form)].filter(([, value]) => typeof value === "string"),
            buttons: [...form.querySelectorAll(SENDING)].map((button) => text(button) || button.value),
        }));
    }

    const WRONG = "?";
    const RIGHT = { date: "2026-01-31", email: "books@example.com", month: "2026-01", url: "https://acme.example" };
    const TYPED = ["text", "email", "search", "tel", "url", "textarea"];

    // Fills in what a person would, by the kind of each field; else what no field takes, and the
    // browser sends it all the same.
    function fillIn(index, isRight) {
        const form = document.forms[index];
        form.noValidate = !isRight;
        for (const field of form.querySelectorAll("input:not([type=hidden]), select, textarea")) {
            if (field.disabled || field.readOnly) continue;
            if (field.type === "checkbox") field.checked = isRight;
            else if (field.type === "radio") field.checked ||= isRight;
            else if (field.localName === "select") field.selectedIndex = isRight ? field.options.length - 1 : 0;
            else if (isRight) field.value ||= RIGHT[field.type] ?? "25";
            else field.value = TYPED.includes(field.type) ? WRONG : "";
        }
    }

    // What a refused form must show: a banner, what was typed, and a text beside each wrong field.
    function refusal() {
        const found = [];
        const banners = [...document.querySelectorAll("[role=alert]")];
        if (!banners.some(text)) found.push("no banner says what is wrong");
        const wrong = [...document.querySelectorAll("[aria-invalid=true]")];
        if (!wrong.length) found.push("no field is marked as wrong");
        for (const field of wrong) {
            const ids = (field.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean);
            const isSaid = ids.some((id) => document.getElementById(id) && text(document.getElementById(id)));
            if (!isSaid) found.push(`no text beside ${describe(field)} says what is wrong`);
            if (TYPED.includes(field.type) && !field.value) found.push(`the input is lost: ${describe(field)}`);
        }
        return found;
    }

    function texts(root) {
        const walker = root.ownerDocument.createTreeWalker(root, NodeFilter.SHOW_TEXT);
        const found = [];
        while (walker.nextNode()) found.push(walker.currentNode.data);
        return found;
    }

    // What the source of a page has and must not have, and the reverse.
    function source(html) {
        const page = new DOMParser().parseFromString(html, "text/html");
        const found = [];
        const refuse = (selector, what) => {
            for (const element of page.querySelectorAll(selector)) {
                found.push(`${what}: ${element.outerHTML.slice(0, 90)}`);
            }
        };
        refuse("style", "inline style");
        refuse("[style]", "inline style");
        refuse("script:not([src])", "inline script");
        refuse("a[href^='javascript:' i], form[action^='javascript:' i]", "inline script");
        refuse("base, iframe, object, embed", "an element that pages do not use");
        for (const element of page.querySelectorAll("*")) {
            const handler = element.getAttributeNames().find((name) => name.startsWith("on"));
            if (handler) found.push(`inline script: ${handler} of ${element.localName}`);
        }
        const isBroken = (one) => /\b(NaN|undefined)\b|Some\(|\{\{|\}\}|\[object /.test(one);
        const broken = texts(page.body).find(isBroken);
        if (broken) found.push(`a text that no person wrote: ${broken.trim()}`);
        if (!page.documentElement.lang) found.push("no language");
        if (!page.title.trim()) found.push("no title");
        for (const name of ["h1", "main"]) {
            const count = page.querySelectorAll(name).length;
            if (count !== 1) found.push(`${count} elements ${name}, not one`);
        }
        for (const form of page.querySelectorAll("form")) {
            if (!form.querySelector("button, input[type=submit]")) found.push("a form without a button");
        }
        return found;
    }

    return {
        overflow, brokenWords, wideTables, hiddenTabs, printed, smallTargets, prepareTabbing, focused, links, forms, fillIn, refusal, source,
    };
})();
