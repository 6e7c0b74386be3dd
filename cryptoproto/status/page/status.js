"use strict";
// Keeps the page up to date: one stream of events, of which the first has everything and the others what changed.

const find = (id) => document.getElementById(id);
const RETRY_MS = 1500;
const SILENT_S = 8; // the server says something at least every three seconds

let current = {};
let orders = new Map(); // order id -> table row, oldest first
let unsettled = [];
let heardAt = null;
let skew = 0; // the bot's clock minus ours, in seconds
let watchedSince = null;
let source = null;

// The token has become a cookie; take it out of the address, the history and bookmarks.
history.replaceState(null, "", location.pathname);

function fill(id, rows) {
  const table = find(id);
  table.tBodies[0].replaceChildren(...rows);
  table.classList.toggle("has-rows", rows.length > 0);
}

function banner(text, isNote) {
  const shown = find("banner");
  shown.hidden = !text;
  shown.textContent = text || "";
  shown.classList.toggle("note", Boolean(isNote));
}

// Sections

const SECTIONS = {
  client_id: (name) => { find("client-id").textContent = name; document.title = `${name} – status`; },
  state: (state) => { const pill = find("state"); pill.textContent = state; pill.className = `pill ${state}`; },
  reason: (reason) => { find("reason").textContent = reason; find("reason").title = reason; },
  balances: (balances) => fill("balances", ROWS.balances(balances)),
  positions: (positions) => fill("positions", ROWS.positions(positions)),
  fills: (fills) => fill("fills", ROWS.fills(fills)),
  latencies: (latencies) => fill("latencies", ROWS.latencies(latencies)),
  states: (states) => fill("states", ROWS.states(states)),
  unsettled_orders: (rows) => {
    for (const each of unsettled) each.remove();
    unsettled = rows.map(orderRow);
    for (const each of unsettled) ageRow(each);
    find("orders").tBodies[0].prepend(...unsettled);
    countOrders();
  },
  throttling: (t) => {
    const parts = [t.throttled ? `Throttled ${t.throttled.toLocaleString("en")} times by the exchange` : "Not throttled by the exchange"];
    if (t.hold_s > 0) parts.push(`holding for ${t.hold_s} s`);
    if (t.pacing_depth > 0) parts.push(`${t.pacing_depth} wait for the order rate`);
    find("throttling").textContent = parts.join("; ");
    fill("throttled", ROWS.throttled(t.recent));
  },
  allow_cancel: (allowed) => { find("cancel-all").hidden = !allowed; },
  watched_since: (since) => {
    if (watchedSince !== null && watchedSince !== since) notice(`The bot was restarted at ${clock(since)}.`);
    watchedSince = since;
  },
};

function show(changes) {
  for (const [name, value] of Object.entries(changes)) {
    current[name] = value;
    if (SECTIONS[name]) SECTIONS[name](value);
  }
  find("about").textContent = `cryptoproto ${current.version} · watched since ${new Date(current.watched_since * 1000).toLocaleString("en-GB")} · transaction ${current.position ?? "–"} · ${(current.counters?.events ?? 0).toLocaleString("en")} events`;
}

// Orders: only rows that changed are touched, so a thousand of them do not slow the page down

function setOrders(rows, { fresh }) {
  const body = find("orders").tBodies[0];
  const added = document.createDocumentFragment();
  for (const order of rows) {
    const made = orderRow(order);
    const before = orders.get(order.order_id);
    if (fresh) made.className = "new";
    if (before) before.replaceWith(made);
    else added.prepend(made); // the newest on top
    orders.set(order.order_id, made);
    filterRow(made);
    ageRow(made);
  }
  if (unsettled.length) unsettled[unsettled.length - 1].after(added);
  else body.prepend(added);
}

function showOrders({ set, gone }) {
  for (const id of gone) {
    orders.get(id)?.remove();
    orders.delete(id);
  }
  setOrders(set, { fresh: true });
  countOrders();
}

function replaceOrders(rows) {
  find("orders").tBodies[0].replaceChildren();
  orders = new Map();
  unsettled = [];
  setOrders(rows, { fresh: false });
}

function countOrders() {
  find("order-count").textContent = orders.size.toLocaleString("en") + (unsettled.length ? ` + ${unsettled.length} unanswered` : "");
  find("orders").classList.toggle("has-rows", orders.size + unsettled.length > 0);
}

function filterRow(each) {
  const words = find("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  each.hidden = !words.every((word) => each.dataset.search.includes(word));
}

function ageRow(each) {
  each.querySelector(".age").textContent = age(Date.now() / 1000 + skew - Number(each.dataset.createdAt));
}

find("filter").addEventListener("input", () => {
  for (const each of orders.values()) filterRow(each);
});

// The stream

function heard(data) {
  heardAt = Date.now();
  skew = data.at - heardAt / 1000;
  if (document.body.classList.contains("stale")) {
    document.body.classList.remove("stale");
    SECTIONS.state(current.state);
  }
  if (!find("banner").dataset.until) banner("");
  tick();
}

function lost(text) {
  document.body.classList.add("stale");
  delete find("banner").dataset.until;
  banner(text);
  find("state").className = "pill lost";
  find("state").textContent = "not connected";
}

function notice(text) {
  banner(text, true);
  find("banner").dataset.until = Date.now() + 15000;
}

function connect() {
  source = new EventSource("/events");
  source.addEventListener("full", (event) => {
    const data = JSON.parse(event.data);
    current = {};
    replaceOrders(data.open_orders);
    show(data);
    heard(data);
    countOrders();
  });
  source.addEventListener("changes", (event) => {
    const data = JSON.parse(event.data);
    if (data.orders) showOrders(data.orders);
    show(data);
    heard(data);
  });
  source.addEventListener("beat", (event) => heard(JSON.parse(event.data)));
  source.addEventListener("closing", () => retry("The bot has stopped. Waiting for it to come back; the figures are the last ones."));
  source.onerror = () => retry("No connection to the bot. Trying again; the figures are the last ones.");
}

function retry(text) {
  source.close();
  lost(text);
  setTimeout(probe, RETRY_MS);
}

// An EventSource does not say why it failed, so ask before the next attempt.
async function probe() {
  let text = "No connection to the bot. Trying again; the figures are the last ones.";
  try {
    const answer = await fetch("/events", { method: "HEAD", cache: "no-store" });
    if (answer.ok) return connect();
    if (answer.status === 401) text = "The token is no longer valid: the bot was restarted with a new one. Open the address that it printed.";
    if (answer.status === 503) text = "Too many pages are open. Close one of them; trying again.";
  } catch { /* still away */ }
  lost(text);
  setTimeout(probe, RETRY_MS);
}

function tick() {
  const silent = heardAt === null ? null : (Date.now() - heardAt) / 1000;
  find("updated").textContent = silent === null ? "–" : silent < 5 ? "up to date" : `${Math.round(silent)} s ago`;
  if (silent !== null && silent > SILENT_S && source.readyState === EventSource.OPEN)
    lost(`Nothing received from the bot for ${Math.round(silent)} s: it is busy or stopped. The figures are old.`);
  const until = find("banner").dataset.until;
  if (until && Date.now() > Number(until)) { delete find("banner").dataset.until; banner(""); }
}

setInterval(() => { tick(); }, 1000);
setInterval(() => { for (const each of orders.values()) ageRow(each); }, 5000);

// Cancelling all orders, asked twice: here, and again with the number of orders that the bot counts

async function post(path) {
  const answer = await fetch(path, { method: "POST" });
  return { ok: answer.ok, ...(await answer.json()) };
}

function ask(question, onYes) {
  find("question").textContent = question;
  find("confirm").hidden = false;
  find("yes").hidden = !onYes;
  find("yes").disabled = false;
  find("no").textContent = onYes ? "No" : "Close";
  find("yes").onclick = onYes && (async () => {
    find("yes").disabled = true;
    try { await onYes(); } catch (error) { ask(`The bot did not answer (${error.message}). Look at the open orders.`); }
  });
  find("no").focus();
}

find("no").addEventListener("click", () => { find("confirm").hidden = true; });
find("cancel-all").addEventListener("click", () => {
  ask("Cancel all open orders?", async () => {
    const asked = await post("/cancel-all");
    if (!asked.ok) return ask(asked.message);
    const count = asked.open_orders === 1 ? "1 open order" : `${asked.open_orders.toLocaleString("en")} open orders`;
    ask(`The bot has ${count}. Really cancel at the exchange?`, async () => {
      const done = await post(`/cancel-all?confirm=${encodeURIComponent(asked.confirm)}`);
      ask(done.ok ? "All orders are cancelled." : `Not cancelled: ${done.message}`);
    });
  });
});

connect();
