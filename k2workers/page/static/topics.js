// Owns the search for topics: asked for only while there is something in the field, and while the page is looked at.

import { at, rows, text } from "./dom.js";
import { PATIENCE_MS } from "./stream.js";
import { duration, number, plural } from "./words.js";

const AGAIN_MS = 2000;
const PAUSE_MS = 250;
const BAD = { silent: "bad", unproven: "bad", refused: "bad", gap: "bad", stale: "bad", "no event yet": "warn", flowing: "good" };

let timer = null;
let asking = null;

export function begin() {
  const field = at("search");
  field.addEventListener("input", () => soon(PAUSE_MS));
  at("topics-form").addEventListener("submit", (event) => {
    event.preventDefault();
    soon(0);
  });
  document.addEventListener("visibilitychange", () => soon(0));
}

/** How many there are, while nothing is looked for. */
export function count(topics) {
  if (!at("search").value.trim()) text(at("topics-count"), plural(topics, "topic"));
}

function soon(ms) {
  clearTimeout(timer);
  timer = setTimeout(ask, ms);
}

async function ask() {
  const wanted = at("search").value.trim();
  at("topics-found").hidden = !wanted;
  at("topics-count").setAttribute("aria-live", wanted ? "polite" : "off"); // of a quiet market there are more and more for hours, which nobody has asked for
  asking?.abort();
  if (!wanted || document.hidden) return;
  asking = new AbortController();
  const { signal } = asking;
  try {
    const reply = await fetch(`topics?search=${encodeURIComponent(wanted)}`, { signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]), cache: "no-store" });
    if (!reply.ok) throw new Error(reply.status === 503 ? "the aggregator does not answer" : `it answers ${reply.status}`);
    show(await reply.json());
  } catch (error) {
    if (signal.aborted) return;
    text(at("topics-count"), `search failed: ${error.message}`);
  }
  soon(AGAIN_MS);
}

function show({ found, topics, shown }) {
  const more = found > shown.length ? `; the first ${shown.length} are shown` : "";
  text(at("topics-count"), `${number(found)} of ${plural(topics, "topic")}${more}`);
  rows(at("topics-rows"), shown.map((one) => [
    one.topic,
    [one.missing ? `${one.state}, ${plural(one.missing, "id")} missing` : one.state, BAD[one.state] ?? ""],
    [one.age_s == null ? "–" : one.age_s < 10 ? `${one.age_s.toFixed(1)} s` : duration(one.age_s), "n"],
    [one.sequence == null ? "–" : number(one.sequence), "n"],
    [one.last_id == null ? "–" : String(one.last_id), "n"],
    [one.event ? `${one.type} ${one.event}` : "–", "event", one.event ?? ""],
  ]));
}
