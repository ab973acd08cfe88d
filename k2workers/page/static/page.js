// Owns what is done with what the feed sends. The rest says what is shown: see the other files.

import { Chart } from "./chart.js";
import { at, text } from "./dom.js";
import { draw } from "./lines.js";
import { follow, PATIENCE_MS } from "./stream.js";
import * as tables from "./tables.js";
import * as topics from "./topics.js";
import { gone, verdict } from "./verdict.js";
import { latency, number, zone } from "./words.js";

const RATE = "rate ";
let now = null;
let lines = [];
let happened = [];
let watch = [];
let loaded = false;

const rates = new Chart(at("rates"), at("rates-legend"), { write: number });
const latencies = new Chart(at("latency"), at("latency-legend"), { write: latency, logarithmic: true });

/** The last minutes, from before the page was opened or while the feed did not answer. */
async function load() {
  loaded = true;
  try {
    const { at_ms, figures } = await (await fetch("trail", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) })).json();
    const names = Object.keys(figures);
    const pick = (wanted, name) => at_ms.map((ms, index) => ({ at_ms: ms, values: Object.fromEntries(wanted.map((key) => [name(key), figures[key][index]])) }));
    rates.load(pick(names.filter((name) => name.startsWith(RATE)), (key) => key.slice(RATE.length)));
    latencies.load(pick(names.filter((name) => !name.startsWith(RATE)), (key) => key));
  } catch {
    loaded = false;
  }
}

const worst = (values) => values.reduce((most, value) => (value != null && (most == null || value > most) ? value : most), null);

follow(
  {
    now(data) {
      now = data;
      const { status, aggregator } = now;
      if (!loaded) load();
      at("demo").hidden = !status.demo;
      text(at("whose"), `${status.venue.replaceAll(",", ", ")} · ${status.shards} shards · times in ${zone(now.at_ms)}`);
      for (const show of [tables.figures, tables.gaps, tables.budgets, tables.subscribers, tables.shards, tables.processes]) show(now);
      draw(lines, now);
      tables.happened(happened, now.at_ms); // what was today is yesterday's once it is midnight
      if (loaded) {
        rates.add(now.at_ms, now.rates);
        latencies.add(now.at_ms, {
          "publish p50": aggregator?.latency_us.p50,
          "publish p99": aggregator?.latency_us.p99,
          "read p99": worst(status.workers.map(({ told }) => told?.latency_us.p99)),
        });
      }
      topics.count(aggregator?.topics ?? 0);
      verdict(now, watch); // last: all is well only if all of it was understood
    },
    lines(data) {
      lines = data;
      draw(lines, now);
    },
    watch(data) {
      watch = data;
    },
    happened(data) {
      happened = data;
    },
  },
  (ms, why) => {
    loaded = false;
    gone(ms, why, now);
  },
);
addEventListener("resize", () => draw(lines, now));
topics.begin();
