"use strict";
// How values become table rows. Everything is set as text, never as HTML.

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function row(...cells) {
  const made = document.createElement("tr");
  for (const [text, className] of cells) made.append(element("td", text, className));
  return made;
}

// "0.50000000" -> "0.5", "12000" -> "12,000". Works on the digits, so no precision is lost.
function amount(text) {
  if (text === null || text === undefined) return "–";
  const match = /^(-?)(\d+)(?:\.(\d*?)0*)?$/.exec(text);
  if (!match) return text;
  const whole = match[2].replace(/\B(?=(\d{3})+$)/g, ",");
  return (match[1] ? "−" : "") + whole + (match[3] ? "." + match[3] : "");
}

function rounded(text, digits) {
  if (text === null || text === undefined) return "–";
  return Number(text).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function sign(text) {
  return text === null || Number(text) === 0 ? "n" : Number(text) > 0 ? "n plus" : "n minus";
}

function milliseconds(value) {
  if (value === null) return "–";
  if (value < 1) return Math.round(value * 1000) + " µs";
  if (value < 1000) return value.toPrecision(3) + " ms";
  return (value / 1000).toPrecision(3) + " s";
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB");
}

function age(seconds) {
  if (seconds < 0) seconds = 0;
  if (seconds < 60) return Math.floor(seconds) + " s";
  if (seconds < 3600) return Math.floor(seconds / 60) + " min";
  if (seconds < 172800) return Math.floor(seconds / 3600) + " h";
  return Math.floor(seconds / 86400) + " d";
}

const LATENCY_NAMES = {
  order_to_acknowledgement: "order to answer",
  request_round_trip: "request",
  receive_to_dispatch: "event to bot",
};

const ROWS = {
  balances: (balances) => Object.entries(balances).map(([currency, { available, on_hold }]) =>
    row([currency], [amount(available), "n"], [amount(on_hold), "n dim"])),

  positions: (positions) => positions.map((p) => row(
    [p.trade_pair, "pair"], [amount(p.position), "n"], [rounded(p.value, 2), "n wide-only"],
    [p.is_stale ? "stale" : amount(p.best_bid), p.best_bid === null ? "n dim" : "n buy"],
    [p.is_stale ? "stale" : amount(p.best_ask), p.best_ask === null ? "n dim" : "n sell"],
    [amount(p.own_best_bid), "n wide-only"], [amount(p.own_best_ask), "n wide-only"],
    [amount(p.buying), "n wide-only"], [amount(p.selling), "n wide-only"],
    [rounded(p.profit, 2), sign(p.profit)])),

  fills: (fills) => fills.slice().reverse().map((f) => row(
    [clock(f.at), "when"], [f.trade_pair, "pair"], [f.side, f.side], [amount(f.price), "n"], [amount(f.amount), "n"],
    [f.maker ? "maker" : "taker", "wide-only dim"], [f.order_id, "wide-only dim"])),

  latencies: (latencies) => Object.entries(latencies).map(([name, l]) => row(
    [LATENCY_NAMES[name] ?? name.replaceAll("_", " ")], [milliseconds(l.p50_ms), "n"], [milliseconds(l.p99_ms), "n"],
    [milliseconds(l.max_ms), "n"], [l.count.toLocaleString("en"), "n wide-only dim"])),

  throttled: (recent) => recent.slice(-20).reverse().map((t) => row(
    [clock(t.at), "when"], [t.level, "n"], [milliseconds(t.hold_s * 1000), "n"], [t.request_id, "n wide-only dim"])),

  states: (states) => states.slice(-20).reverse().map((s) => row(
    [clock(s.at), "when"], [s.state, s.state === "live" ? "buy" : s.state === "waiting" || s.state === "closed" ? "sell" : ""],
    [s.reason + (s.delay_s ? `; next attempt in ${s.delay_s.toFixed(1)} s` : "") +
      (s.replayed ? `; ${s.replayed} events replayed` : "")])),
};

function orderRow(o) {
  const made = row(
    [o.order_id ?? "–", "wide-only dim"], [o.trade_pair, "pair"], [o.side, o.side], [amount(o.price), "n"],
    [amount(o.remaining), "n"], [amount(o.amount), "n wide-only"], [o.time_in_force ?? "–", "wide-only dim"],
    [o.status, o.status === "open" ? "wide-only dim" : "wide-only sell"], ["", "n dim age"]);
  made.dataset.search = `${o.order_id} ${o.client_order_id} ${o.trade_pair} ${o.side} ${o.price}`.toLowerCase();
  made.dataset.createdAt = o.created_at;
  return made;
}
