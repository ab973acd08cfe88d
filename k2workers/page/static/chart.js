// Owns a drawing of lines over the last ten minutes, and the list below it that says what each line stands at, now or where the pointer is.

import { each, shapes, text } from "./dom.js";
import { time } from "./words.js";

const SPAN_MS = 600000;
const LEFT = 54;
const BOTTOM = 18;
const COLOURS = 7;
const look = (index) => `c${index % COLOURS}${index < COLOURS ? "" : " again"}`; // more lines than colours: these are dashed

export class Chart {
  constructor(svg, legend, { write, logarithmic = false, name = (key) => key }) {
    Object.assign(this, { svg, legend, write, logarithmic, name, points: [], keys: [], cursor: null });
    svg.addEventListener("pointermove", (event) => this.point(event.offsetX));
    svg.addEventListener("pointerleave", () => this.point(null));
  }

  load(points) {
    this.points = points;
    this.keys = [...new Set(points.flatMap((one) => Object.keys(one.values)))].sort();
    this.draw();
  }

  add(at_ms, values) {
    // Later ones than the newest are there if the feed's clock was set back.
    this.points = this.points.filter((one) => one.at_ms >= at_ms - SPAN_MS && one.at_ms < at_ms);
    this.points.push({ at_ms, values });
    for (const key of Object.keys(values)) if (!this.keys.includes(key)) this.keys = [...this.keys, key].sort();
    this.draw();
  }

  point(offset) {
    this.cursor = offset;
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.svg;
    const until = this.points.at(-1)?.at_ms;
    if (!width || !until) return;
    // A young feed fills the drawing too.
    const from = Math.max(until - SPAN_MS, Math.min(this.points[0].at_ms, until - 60000));
    const x = (ms) => LEFT + ((ms - from) / (until - from)) * (width - LEFT - 4);
    const { ticks, y } = this.scale(height - BOTTOM);
    const drawn = ticks.flatMap((tick) => [
      ["line", { class: "grid", x1: LEFT, x2: width, y1: y(tick), y2: y(tick) }],
      ["text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, this.write(tick)],
    ]);
    const step = (until - from) / 4;
    for (let ms = from + step / 2; ms < until; ms += step) drawn.push(["text", { x: x(ms), y: height - 3, "text-anchor": "middle" }, time(ms)]);
    this.keys.forEach((key, index) => {
      let path = "";
      let pen = "M";
      for (const { at_ms, values } of this.points) {
        if (at_ms < from || values[key] == null) pen = "M";
        else {
          path += `${pen}${x(at_ms).toFixed(1)},${y(values[key]).toFixed(1)}`;
          pen = "L";
        }
      }
      drawn.push(["path", { class: `line ${look(index)}`, d: path || "M0,0" }]);
    });
    let chosen = this.points.at(-1);
    if (this.cursor != null) {
      chosen = this.points.reduce((best, one) => (Math.abs(x(one.at_ms) - this.cursor) < Math.abs(x(best.at_ms) - this.cursor) ? one : best));
      drawn.push(["line", { class: "cursor", x1: x(chosen.at_ms), x2: x(chosen.at_ms), y1: 0, y2: height - BOTTOM }]);
    }
    shapes(this.svg, drawn);
    each(this.legend, "li", this.keys, (item, key, index) => {
      if (!item.firstChild) item.append(document.createElement("i"), document.createElement("span"));
      item.firstChild.className = look(index);
      text(item.lastChild, `${this.name(key)} ${this.write(chosen.values[key])}${this.cursor != null ? ` at ${time(chosen.at_ms)}` : ""}`);
    });
  }

  scale(bottom) {
    const values = this.points.flatMap((one) => this.keys.map((key) => one.values[key])).filter((value) => value != null);
    if (this.logarithmic) {
      const low = Math.floor(Math.log10(Math.min(100, ...values)));
      const high = Math.ceil(Math.log10(Math.max(10000, ...values)));
      const ticks = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
      return { ticks, y: (value) => bottom - 2 - ((Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)) * (bottom - 12) };
    }
    const most = Math.max(4, ...values);
    const unit = 10 ** Math.floor(Math.log10(most / 4));
    const step = [1, 2, 5, 10].map((factor) => factor * unit).find((each) => most / each <= 4.5);
    const top = Math.ceil(most / step) * step;
    const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, index) => index * step);
    return { ticks, y: (value) => bottom - 2 - (value / top) * (bottom - 12) };
  }
}
