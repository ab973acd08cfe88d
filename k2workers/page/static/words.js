// Owns how figures, times and names are written.

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export const number = (value) => (value == null ? "–" : grouped.format(value));

export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (whole, unit, rest, smaller) => `${whole} ${unit}${rest ? ` ${rest} ${smaller}` : ""}`;
  if (s < 60) return `${s} s`;
  if (s < 3600) return two(Math.floor(s / 60), "min", s % 60, "s");
  if (s < 86400) return two(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
  return two(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
}

export function bytes(count) {
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) if (count >= size) return `${(count / size).toFixed(count >= 100 * size ? 0 : 1)} ${unit}`;
  return `${count} B`;
}

export function latency(microseconds) {
  if (microseconds == null) return "–";
  if (microseconds >= 1e6) return `${+(microseconds / 1e6).toFixed(1)} s`;
  return microseconds >= 1e3 ? `${+(microseconds / 1e3).toFixed(1)} ms` : `${Math.round(microseconds)} µs`;
}

export const time = (ms) => clock.format(ms);

/** With the day, unless it is today's. */
export const moment = (ms, now) => (new Date(ms).toDateString() === new Date(now).toDateString() ? time(ms) : `${day.format(ms)} ${time(ms)}`);

/** The time zone of this machine, in which all times are shown; the log is written in UTC. */
export function zone(ms) {
  const minutes = -new Date(ms).getTimezoneOffset();
  const [whole, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return minutes ? `UTC${minutes < 0 ? "−" : "+"}${whole}${rest ? `:${String(rest).padStart(2, "0")}` : ""}` : "UTC";
}

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
