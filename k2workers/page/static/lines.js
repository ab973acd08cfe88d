// Owns the drawing of connections over time: a row a shard, overlaps visible, the next rotations ahead.

import { at, attributes, shapes } from "./dom.js";
import { duration, moment, time } from "./words.js";

const ROW = 26;
const TOP = 22;
const UNHEARD_S = 3; // as readiness has it
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 21600, 43200, 86400];

/** A worker's state in a word; what it told last is no word of now once it is not heard any longer. */
export function stateOf(worker, status, told = worker.told) {
  if (!worker.alive) return "down";
  const silent_s = status.children[`worker-${worker.figures.shard}`]?.last_beat_s;
  return silent_s > UNHEARD_S ? "no report" : (told?.state ?? "starting");
}

export function draw(lines, now) {
  const svg = at("lines");
  const width = svg.parentElement.clientWidth;
  if (!width || !now) return;
  const narrow = width < 560;
  const several = !narrow && new Set(lines.map((own) => own.venue)).size > 1;
  const left = narrow ? 72 : several ? 200 : 118;
  const lives = Object.fromEntries(now.status.workers.map((worker) => [worker.figures.shard, worker]));
  const life = Math.max(...Object.values(now.lifetimes_s)) * 1000;
  const from = now.at_ms - 2 * life;
  const until = now.at_ms + 1.1 * life;
  const x = (ms) => Math.round((left + ((Math.min(Math.max(ms, from), until) - from) / (until - from)) * (width - left - 8)) * 10) / 10;
  const height = TOP + Math.max(1, lines.length) * ROW + 4;
  attributes(svg, { viewBox: `0 0 ${width} ${height}`, height, "aria-label": summary(lines, lives) });

  const drawn = [];
  const step = (STEPS_S.find((s) => ((until - from) / s) / 1000 <= (width - left) / 80) ?? 86400) * 1000;
  const zone = new Date(now.at_ms).getTimezoneOffset() * 60000;
  for (let ms = Math.ceil((from - zone) / step) * step + zone; ms < until - step / 4; ms += step) {
    drawn.push(["line", { class: "grid", x1: x(ms), x2: x(ms), y1: TOP - 4, y2: height }]);
    drawn.push(["text", { x: x(ms), y: 12, "text-anchor": "middle" }, step < 60000 ? time(ms) : time(ms).slice(0, 5)]);
  }
  lines.forEach((own, row) => {
    const top = TOP + row * ROW;
    const worker = lives[own.shard];
    const line = worker?.told?.lines.find((one) => one.route === own.route);
    const state = worker ? stateOf(worker, now.status, line) : "gone";
    const name = [several ? own.venue : "", own.shard, own.route].filter((part) => part !== "").join(" ");
    drawn.push(["text", { class: "name", x: 0, y: top + 15 }, narrow ? name.slice(0, 10) : `${name} · ${state}`.slice(0, several ? 34 : 20)]);
    const shown = own.spans.filter((bar) => (bar.ended_ms ?? now.at_ms) > from);
    const parity = own.spans.length - shown.length;
    shown.forEach((bar, index) => {
      const y = top + ((index + parity) % 2 ? 13 : 3);
      const end = bar.ended_ms ?? now.at_ms;
      const age = duration((end - bar.carried_ms) / 1000);
      const how = bar.ended_ms ? `${moment(bar.opened_ms, now.at_ms)} to ${moment(end, now.at_ms)}, carried the feed for ${age}; ${bar.end}${bar.complete ? "" : ", not complete"}` : `open since ${moment(bar.opened_ms, now.at_ms)}, for ${age}`;
      drawn.push(["rect", { class: bar.ended_ms ? "bar" : "bar open", x: x(bar.opened_ms), y, width: Math.max(2, x(end) - x(bar.opened_ms)), height: 9, rx: 2 }, "", `shard ${name}: ${how}`]);
      const before = shown[index - 1];
      if (before && before.ended_ms >= bar.opened_ms && before.complete)
        drawn.push(["rect", { class: "both", x: x(bar.opened_ms), y: top + 3, width: Math.max(2.5, x(before.ended_ms) - x(bar.opened_ms)), height: 19, opacity: 0.75 }, "", `both deliver for ${before.ended_ms - bar.opened_ms} ms`]);
      if (bar.ended_ms && !bar.complete) {
        const [cx, cy] = [x(end), y + 4.5];
        drawn.push(["path", { class: "lost", d: `M${cx - 5},${cy - 5}l10,10m0,-10l-10,10` }]);
      }
      if (!bar.ended_ms && line?.live) {
        const due = now.at_ms + line.next_rotation_s * 1000;
        drawn.push(["line", { class: "ahead", x1: x(now.at_ms), x2: x(due), y1: y + 4.5, y2: y + 4.5 }]);
        if (due < until) drawn.push(["path", { class: "due", d: `M${x(due)},${y - 0.5}l5,5l-5,5l-5,-5z` }, "", `shard ${name}: next rotation at ${moment(due, now.at_ms)}, in ${duration(line.next_rotation_s)}`]);
      }
    });
  });
  drawn.push(["line", { class: "now", x1: x(now.at_ms), x2: x(now.at_ms), y1: TOP - 6, y2: height }]);
  shapes(svg, drawn);
}

function summary(lines, lives) {
  const said = lines.map((own) => {
    const line = lives[own.shard]?.told?.lines.find((one) => one.route === own.route);
    return `shard ${own.shard} ${own.route}: ${line ? `${line.state}, open for ${duration(line.age_s)}, next rotation in ${duration(line.next_rotation_s)}` : "no connection"}`;
  });
  return said.length ? said.join("; ") : "No connection yet";
}
