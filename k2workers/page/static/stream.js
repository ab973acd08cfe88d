// Owns the connection to the feed: what it sends, whether it still does, and coming back by itself.

const LATE_MS = 3500; // something comes every second
const DEAD_MS = 10000; // a connection that says nothing for so long is given up: its other end may be gone without a word
const AGAIN_MS = 1500;
export const PATIENCE_MS = 5000; // a question without an answer is given up: a browser keeps only a few open to one address, and the stream needs one of them

/** Calls hear[name](data) for each part that comes, and silent(ms, why) while nothing does. */
export function follow(hear, silent) {
  let source = null;
  let heard = performance.now();
  let opened = heard;
  let why = "";
  const strange = new Set(); // parts that this page does not understand: then nothing that it shows is of now

  function open() {
    opened = performance.now();
    strange.clear();
    source = new EventSource("events");
    for (const [name, take] of Object.entries(hear))
      source.addEventListener(name, (event) => {
        try {
          take(JSON.parse(event.data));
          strange.delete(name);
        } catch (error) {
          strange.add(name);
          console.error(error);
        }
        if (strange.size) return;
        heard = performance.now();
        why = "";
      });
    source.onerror = () => {
      if (source?.readyState === EventSource.CLOSED) close(); // it was refused: a browser does not try that again
    };
  }

  function close() {
    source?.close();
    source = null;
    fetch("events", { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) })
      .then(async (reply) => { why = reply.ok ? "" : reply.status === 503 ? "too many viewers, or the feed is overloaded" : `it answers ${reply.status}`; })
      .catch((error) => { why = error.name === "TimeoutError" ? "" : "nobody listens there"; });
    setTimeout(open, AGAIN_MS);
  }

  setInterval(() => {
    const now = performance.now();
    if (now - heard > LATE_MS) silent(now - heard, strange.size ? "this page does not understand its messages; is it another version? Reload the page" : why);
    if (source && now - Math.max(heard, opened) > DEAD_MS) close();
  }, 500);
  open();
}
