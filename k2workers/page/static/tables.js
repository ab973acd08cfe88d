// Owns the figures: the row of the most important ones, and the tables.

import { at, each, pairs, rows, text } from "./dom.js";
import { stateOf } from "./lines.js";
import { bytes, duration, latency, moment, number, plural } from "./words.js";

const before = new Map(); // CPU seconds of each process, to tell how much it uses now
const HEAD = ["shard", "state", "events/s", "open for", "next rotation", "rotated", "lost", "gaps", "copies dropped", "read p99", "restarts", "memory", "CPU"];

export function figures({ status, aggregator }) {
  const gaps = aggregator?.gaps;
  const restarts = Object.values(status.children).reduce((sum, child) => sum + child.restarts, 0);
  const shown = [
    ["events a second", number(status.events_per_s)],
    ["published", number(status.published)],
    ["gaps open", number(gaps?.gaps_open), gaps?.gaps_open ? "bad" : ""],
    ["rotations", number(status.rotations)],
    ["restarts", number(restarts), restarts ? "warn" : ""],
    ["publish p99", latency(aggregator?.latency_us.p99)],
    ["subscribers", number(aggregator?.subscribers.connected), aggregator?.subscribers.behind.length ? "bad" : ""],
    ["symbols", number(status.symbols)],
    ["up for", duration(status.uptime_s)],
  ];
  each(at("figures"), "div", shown, (box, [name, value, kind = ""]) => {
    if (!box.firstChild) box.append(document.createElement("dt"), document.createElement("dd"));
    text(box.firstChild, name);
    text(box.lastChild, value);
    box.lastChild.className = kind;
  });
}

export function gaps({ aggregator, status }) {
  if (!aggregator) return;
  const { gaps: all, missing } = aggregator;
  const doubted = status.workers.reduce((sum, { told }) => sum + (told?.gaps_doubted ?? 0), 0);
  const waiting = status.workers.reduce((sum, { told }) => sum + (told?.repairs_waiting ?? 0), 0);
  pairs(at("gaps"), [
    ["announced", number(all.gaps)],
    ["open now", number(all.gaps_open), all.gaps_open ? "bad" : ""],
    ...Object.entries(missing).slice(0, 8).map(([topic, ids]) => [`· ${topic}`, plural(ids, "id"), "bad"]),
    ["ids repaired", number(all.repaired_ids)],
    ["ids that never existed", number(all.void_ids)],
    ["denied once by the venue", number(doubted), doubted ? "warn" : ""],
    ["waiting for repair", number(waiting)],
    ["given up", number(all.gaps_given_up), all.gaps_given_up > all.unproven_gaps_given_up ? "warn" : ""],
    ["topics whose ids restarted", number(all.resets)],
  ]);
}

export function budgets({ connects, status }) {
  each(at("budgets"), "div", Object.entries(connects), (box, [venue, budget]) => {
    const own = status.venues[venue];
    const refused = Object.values(own.venue_refusals).reduce((sum, one) => sum + one.refusals, 0);
    const lines = [
      ["connections", budget.granted, budget.limit, `in ${duration(budget.window_s)}${budget.waiting ? `, ${number(budget.waiting)} waiting` : ""}${budget.alone ? `, ${number(budget.alone)} without permission` : ""}`],
      ["REST weight", own.rest_weight.used, own.rest_weight.limit, `in a minute${own.rest_weight.wait_s ? `, ${duration(own.rest_weight.wait_s)} until there is enough` : ""}`],
    ];
    if (!box.firstChild) {
      box.className = "budget";
      box.append(document.createElement("h3"), document.createElement("div"), document.createElement("p"));
    }
    text(box.firstChild, venue);
    each(box.children[1], "div", lines, (row, [name, used, limit, more]) => {
      if (!row.firstChild) row.append(document.createElement("p"), document.createElement("meter"));
      text(row.firstChild, `${name}: ${number(used)} of ${number(limit)} ${more}`);
      Object.assign(row.lastChild, { max: limit, high: 0.8 * limit, optimum: 0, value: used, ariaLabel: `${venue} ${name}` });
    });
    text(box.lastChild, refused ? plural(refused, "refusal") : "no refusal so far");
  });
}

export function subscribers({ aggregator }) {
  const all = aggregator?.subscribers;
  if (!all) return;
  pairs(at("subscribers"), [
    ["connected", number(all.connected)],
    ...all.readers.map((one) => [one.name, `${plural(one.waiting, "batch", "batches")} waiting${one.lost ? `, ${number(one.lost)} lost` : ""}`, one.lost ? "bad" : ""]),
    ...all.behind.map((one) => [`${one.peer} does not read`, `${bytes(one.bytes)} waiting`, "bad"]),
    ["disconnected by the feed", number(all.cut), all.cut ? "warn" : ""],
    ...all.newest_cuts.slice(-3).map((one) => [`· ${one.peer}`, one.cause]),
    ["kept for replay", bytes(aggregator.ring_bytes)],
  ]);
}

const cpu = (name, usage, at_ms) => {
  const then = before.get(name);
  if (!then || at_ms > then.at_ms) before.set(name, { at_ms, cpu_s: usage.cpu_s, share: then && usage.cpu_s >= then.cpu_s ? (usage.cpu_s - then.cpu_s) / ((at_ms - then.at_ms) / 1000) : then?.share });
  const share = before.get(name).share;
  return share == null ? "–" : `${(100 * share).toFixed(1)} %`;
};

export function shards({ status, usage, at_ms }) {
  const several = Object.keys(status.venues).length > 1;
  const head = several ? ["venue", ...HEAD] : HEAD;
  each(at("shards-head"), "th", head, (cell, name) => {
    text(cell, name);
    cell.scope = "col";
    cell.className = ["venue", "shard", "state"].includes(name) ? "" : "n";
  });
  rows(at("shards"), status.workers.map(({ figures: own, told, events_per_s, alive }) => {
    const state = stateOf({ figures: own, told, alive }, status);
    const right = (words, kind = "") => [words, `n ${kind}`.trim()];
    return [
      ...(several ? [own.venue] : []),
      String(own.shard),
      [state, told?.live && state === told.state ? "good" : "bad"],
      right(number(events_per_s)),
      right(told ? duration(told.connection_age_s) : "–"),
      right(told?.live ? `in ${duration(told.next_rotation_s)}` : "–"),
      right(number(told?.rotations)),
      right(number(told?.reconnects), told?.reconnects ? "warn" : ""),
      right(number(own.gaps), told?.gaps_open ? "bad" : ""),
      right(number(own.duplicates)),
      right(latency(told?.latency_us.p99)),
      right(number(own.restarts), own.restarts ? "warn" : ""),
      right(bytes(own.rss_bytes)),
      right(cpu(`worker-${own.shard}`, usage[`worker-${own.shard}`] ?? own, at_ms)),
    ];
  }));
}

export function processes({ status, usage, at_ms }) {
  const others = Object.entries(usage).filter(([name]) => !name.startsWith("worker-"));
  rows(at("processes"), others.map(([name, used]) => {
    const child = status.children[name];
    const state = !child || child.ready ? "serves" : child.alive ? "starting" : "down";
    return [name, [state, state === "serves" ? "good" : "bad"], [child?.pid == null ? "–" : String(child.pid), "n"], [child ? number(child.restarts) : "–", child?.restarts ? "n warn" : "n"], [bytes(used.rss_bytes), "n"], [cpu(name, used, at_ms), "n"]];
  }));
}

export function happened(events, now_ms) {
  const bad = { "not ready": "bad", gap: "warn", restart: "warn", "connection lost": "warn", ready: "good" };
  each(at("happened"), "li", events, (item, one) => {
    if (!item.firstChild) item.append(document.createElement("time"), document.createElement("span"), document.createElement("span"));
    text(item.firstChild, moment(one.at_ms, now_ms));
    text(item.children[1], one.kind);
    item.children[1].className = bad[one.kind] ?? "";
    text(item.lastChild, one.text.includes(one.where) ? one.text : `${one.where}: ${one.text}`);
  });
}
