// Owns the first thing that is read: whether all is well, and if not what is wrong and since when.

import { at, each, text } from "./dom.js";
import { duration, moment } from "./words.js";

const state = (name) => {
  if (document.body.dataset.state === name) return;
  document.body.dataset.state = name;
  document.querySelector("link[rel=icon]").href = `page/icon-${name === "ready" ? "ok" : name === "gone" || name === "waiting" ? "gone" : "bad"}.svg`;
};

/** ``watch`` is what keeps nobody from being served, and is worth a look. */
export function verdict(now, watch) {
  const { status, ailments } = now;
  const starting = Boolean(status.waiting_for);
  state(status.ready ? "ready" : starting ? "starting" : "unready");
  const words = status.ready ? "All is well: every stream flows" : starting ? `Starting: waiting for ${status.waiting_for}` : `Not ready: ${kinds(ailments)}`;
  text(at("verdict-words"), words);
  document.title = `${status.ready ? "✓" : starting ? "…" : "✗ not ready"} k2workers${status.demo ? " DEMO" : ""}`;
  text(at("verdict-since"), `since ${moment(now.since_ms, now.at_ms)}, for ${duration((now.at_ms - now.since_ms) / 1000)}`);
  list(at("ailments"), ailments.filter((one) => !starting || one.where).map((one) => [one.word.replaceAll("_", " "), `${one.text} · since ${moment(one.since_ms, now.at_ms)}, for ${duration((now.at_ms - one.since_ms) / 1000)}`]));
  list(at("watch"), watch.map((one) => [one.word, one.text]));
}

export function gone(forMs, why, last) {
  state("gone");
  text(at("verdict-words"), "The feed does not answer");
  document.title = "✗ no answer · k2workers";
  const since = last ? moment(last.at_ms, last.at_ms + forMs) : moment(Date.now() - forMs, Date.now()); // by the feed's clock, as its log has it
  text(at("verdict-since"), `since ${since}, for ${duration(forMs / 1000)}${why ? `: ${why}` : ""}. ${last ? "Below is its last report. " : ""}Retrying.`);
  list(at("ailments"), []);
  list(at("watch"), []);
}

const kinds = (ailments) => [...new Set(ailments.map((one) => one.word.replaceAll("_", " ")))].join(", ") || "…";

const MOST = 12;

const list = (node, items) => {
  const rest = items.length - MOST;
  each(node, "li", rest > 1 ? [...items.slice(0, MOST), ["and", `${rest} more`]] : items, (item, [word, more]) => {
    if (!item.firstChild) item.append(document.createElement("strong"), " ", document.createElement("span"));
    text(item.firstChild, word);
    text(item.lastChild, more);
  });
};
