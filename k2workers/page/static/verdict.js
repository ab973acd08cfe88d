// Owns the first thing that is read: whether all is well, and if not what is wrong and since when.

import { at, each, text } from "./dom.js";
import { bytes, duration, latency, moment, number, plural } from "./words.js";

const LATELY_MS = 600000;
const NEAR = 0.8; // of a budget

const state = (name) => {
  if (document.body.dataset.state === name) return;
  document.body.dataset.state = name;
  document.querySelector("link[rel=icon]").href = `page/icon-${name === "ready" ? "ok" : name === "gone" || name === "waiting" ? "gone" : "bad"}.svg`;
};

export function verdict(now, happened) {
  const { status, ailments } = now;
  const starting = Boolean(status.waiting_for);
  const watch = worthALook(now, happened);
  state(status.ready ? "ready" : starting ? "starting" : "unready");
  const words = status.ready ? "All is well: every stream flows" : starting ? `Starting: waiting for ${status.waiting_for}` : `Not ready: ${kinds(ailments)}`;
  text(at("verdict-words"), words);
  document.title = `${status.ready ? "✓" : starting ? "…" : "✗ not ready"} k2workers${status.demo ? " DEMO" : ""}`;
  text(at("verdict-since"), `since ${moment(now.since_ms, now.at_ms)}, for ${duration((now.at_ms - now.since_ms) / 1000)}`);
  list(at("ailments"), ailments.filter((one) => !starting || one.where).map((one) => [one.word.replaceAll("_", " "), `${one.text} · since ${moment(one.since_ms, now.at_ms)}, for ${duration((now.at_ms - one.since_ms) / 1000)}`]));
  list(at("watch"), watch);
}

export function gone(forMs, why, last) {
  state("gone");
  text(at("verdict-words"), "The feed does not answer");
  document.title = "✗ no answer · k2workers";
  const since = moment(Date.now() - forMs, Date.now());
  text(at("verdict-since"), `since ${since}, for ${duration(forMs / 1000)}${why ? `: ${why}` : ""}. ${last ? "What is below was true then. " : ""}Trying again by itself.`);
  list(at("ailments"), []);
  list(at("watch"), []);
}

const kinds = (ailments) => [...new Set(ailments.map((one) => one.word.replaceAll("_", " ")))].join(", ") || "…";

const list = (node, items) =>
  each(node, "li", items.slice(0, 12), (item, [word, more]) => {
    if (!item.firstChild) item.append(document.createElement("strong"), " ", document.createElement("span"));
    text(item.firstChild, word);
    text(item.lastChild, more);
  });

/** What keeps nobody from being served, and is worth a look: [word, what]. */
function worthALook({ status, aggregator, connects, at_ms, lifetime_s }, happened) {
  const found = [];
  const add = (condition, word, what) => condition && found.push([word, what]);
  const gaps = aggregator?.gaps.gaps_open;
  add(gaps, "gaps open", `${plural(gaps, "gap")}: ${Object.entries(aggregator?.missing ?? {}).slice(0, 4).map(([topic, ids]) => `${topic} (${plural(ids, "id")})`).join(", ")}`);
  const subscribers = aggregator?.subscribers;
  add(subscribers?.behind.length, "subscribers behind", (subscribers?.behind ?? []).slice(0, 3).map((one) => `${one.peer} is owed ${bytes(one.bytes)}`).join(", "));
  for (const [venue, budget] of Object.entries(connects)) {
    add(budget.granted > NEAR * budget.limit, "connections near the limit", `${venue}: ${number(budget.granted)} of ${number(budget.limit)} in ${duration(budget.window_s)}`);
    const own = status.venues[venue];
    add(own?.rest_weight.used > NEAR * own?.rest_weight.limit, "REST weight near the limit", `${venue}: ${number(own?.rest_weight.used)} of ${number(own?.rest_weight.limit)}`);
    for (const [service, refusal] of Object.entries(own?.venue_refusals ?? {})) add(refusal.paused_s, `${venue} refuses ${service}`, `with ${refusal.refused_with || "no answer"}; kept away from for ${duration(refusal.paused_s)}`);
  }
  for (const { figures, told } of status.workers) {
    const name = `shard ${figures.shard}`;
    add(told?.connection_age_s > 1.2 * lifetime_s + 90, "rotation overdue", `${name}: its connection is ${duration(told?.connection_age_s)} old, a lifetime is ${duration(lifetime_s)}`);
    add(told?.clock_ahead_s > 1, "clock skew", `${name}: the venue's clock is ${told?.clock_ahead_s.toFixed(1)} s ahead of ours`);
    add(told?.gaps_doubted, "gaps doubted", `${name}: the venue denied ${plural(told?.gaps_doubted, "gap")} once`);
    add(told?.streams_refused_count, "streams refused", `${name}: ${Object.keys(told?.streams_refused ?? {}).slice(0, 3).join(", ")}`);
  }
  add(status.books.error, "no books are kept", status.books.error);
  add(aggregator?.latency_us.p99 > 1e6, "slow", `one event in a hundred takes ${latency(aggregator?.latency_us.p99)} from our read to its publication`);
  const lately = happened.filter((one) => at_ms - one.at_ms < LATELY_MS);
  for (const kind of ["restart", "connection lost", "gap"]) {
    const those = lately.filter((one) => one.kind === kind);
    add(those.length, kind === "gap" ? "gaps lately" : kind === "restart" ? "restarts lately" : "connections lost lately", `${[...new Set(those.map((one) => one.where))].slice(0, 6).join(", ")}; last at ${moment(those[0]?.at_ms, at_ms)}, ${duration((at_ms - those[0]?.at_ms) / 1000)} ago`);
  }
  return found;
}
