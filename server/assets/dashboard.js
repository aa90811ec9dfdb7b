// The chart's cursor, the live balance, what an amount buys, and the present tab in view. Pages work
// without it, and have all texts.
const one = (selector, root = document) => root.querySelector(selector);
const each = (selector, act) => document.querySelectorAll(selector).forEach(act);
const lang = document.documentElement.lang || "en";
const set = (element, values) => Object.entries(values).forEach((pair) => element.setAttribute(...pair));
const fill = (text, ...parts) => text.replace(/\{(\d)\}/g, (_, n) => parts[n]);
const whole = new Intl.NumberFormat(lang);
const dollars = new Intl.NumberFormat(lang, {
  style: "currency", currency: "USD", currencyDisplay: "narrowSymbol", maximumFractionDigits: 5,
});

// The chart is one tab stop. Arrows, Home, End and a pointer move by bar; texts are in the table.
const cursor = (chart) => {
  const [plot, now, mark, body] = ["plot", "now", "cursor", "rows"].map((part) => one(`[data-chart-${part}]`, chart));
  const picture = plot && one("svg", plot);
  if (!picture || !now || !mark || !body) return;
  const rows = [...body.rows].reverse(), heads = one("tr", chart).cells;
  picture.querySelectorAll("title").forEach((title) => title.remove());
  let at = -1;
  const show = (bar) => {
    bar = Math.max(0, Math.min(rows.length - 1, bar));
    if (bar === at || !rows[bar]) return;
    at = bar;
    set(mark, { x: at, width: 1 });
    const { cells: [label, total], dataset: { most } } = rows[at];
    const text = most ? chart.dataset.bar : chart.dataset.barPlain;
    now.textContent = fill(text, label.textContent, total.textContent, most && heads[+most + 2].textContent);
    now.classList.remove("chart-hint");
  };
  now.textContent = chart.dataset.hint;
  now.classList.add("chart-hint");
  set(now, { "aria-live": "polite" });
  const named = picture.getAttribute("aria-labelledby");
  set(plot, { tabindex: 0, role: "application", "aria-roledescription": chart.dataset.role, "aria-labelledby": named });
  set(picture, { "aria-hidden": true });
  plot.addEventListener("keydown", (event) => {
    const left = (at < 0 ? rows.length : at) - 1;
    const to = { ArrowLeft: left, ArrowRight: at + 1, Home: 0, End: rows.length - 1 }[event.key];
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    show(to);
  });
  const point = ({ clientX }) => {
    const { left, width } = plot.getBoundingClientRect();
    show(Math.floor(((clientX - left) / width) * rows.length));
  };
  plot.addEventListener("pointermove", point);
  plot.addEventListener("pointerdown", point);
};

// The balance follows the stream. One tab holds the lock and the connection, and informs the
// others. A hidden tab has neither.
const kinds = "balance charge.opened charge.settled charge.refunded grant.created grant.voided " +
  "claw_back.taken claw_back.repaid claw_back.restored";
const live = (root) => {
  const say = one("[data-live-say]"), { stream, workspace } = root.dataset;
  const name = `tollkeeper ${stream} ${workspace || Math.random()}`;
  const channel = new BroadcastChannel(name);
  let latest, source, stopper, retry, saidAt = 0, saying;
  const announce = () => {
    saying = 0;
    saidAt = Date.now();
    say.textContent = fill(say.dataset.liveSay, dollars.format(latest.available_usd));
  };
  const show = (news) => {
    if (latest && news.epoch === latest.epoch && news.number <= latest.number) return;
    const changes = latest && news.available !== latest.available;
    latest = news;
    each("[data-live]", (figure) => {
      const value = news[figure.dataset.live];
      if (value !== undefined) figure.textContent = (typeof value === "string" ? dollars : whole).format(value);
    });
    if (say && changes && !saying) saying = setTimeout(announce, Math.max(0, saidAt + 1e4 - Date.now()));
  };
  const take = (event) => {
    const data = JSON.parse(event.data);
    // Another workspace's session.
    if (workspace && data.workspace && data.workspace !== workspace) return stop();
    show({ ...(data.balance || data), number: data.number, epoch: parseInt(event.lastEventId) });
    channel.postMessage(latest);
  };
  const open = () => {
    source = new EventSource(stream);
    kinds.split(" ").forEach((kind) => source.addEventListener(kind, take));
    source.onerror = () => {
      if (source?.readyState === EventSource.CLOSED) retry = setTimeout(open, 6e4);
    };
  };
  const stop = () => {
    clearTimeout(retry);
    source?.close();
    stopper?.abort();
    source = stopper = null;
  };
  const start = () => {
    if (stopper || document.hidden) return;
    stopper = new AbortController();
    const { signal } = stopper;
    channel.postMessage("?");
    if (!navigator.locks) return open();
    const hold = () => new Promise((done) => {
      if (signal.aborted) return done();
      signal.addEventListener("abort", done);
      open();
    });
    navigator.locks.request(name, { signal }, hold).catch(() => {});
  };
  channel.addEventListener("message", ({ data }) => {
    if (data !== "?") show(data);
    else if (source && latest) channel.postMessage(latest);
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
  start();
};

// What the typed dollars buy: 1,000 micro-units a cent, whole cents only.
const preview = (input) => {
  const out = document.getElementById(input.dataset.previewMicros);
  if (!out) return;
  const show = () => {
    const typed = /^\s*(\d{1,12})(?:[.,](\d\d?))?\s*$/.exec(input.value);
    const micros = typed && BigInt(typed[1] + (typed[2] || "").padEnd(2, "0")) * 1000n;
    out.textContent = micros ? fill(out.dataset.text || "{0}", whole.format(micros)) : "";
  };
  input.addEventListener("input", show);
  show();
};

one(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
each("[data-chart]", cursor);
[one("[data-stream]")].filter(Boolean).forEach(live);
each("[data-preview-micros]", preview);
