// A subscriber of k2workers in plain JavaScript, written from k2workers/transport/PROTOCOL.md alone: it keeps that page true.
//
//   node node_client.js PUBLISH_PORT REPLAY_PORT BOOKS_PORT TOPIC…
//
// It follows trades and depth. A line on standard input asks for something: "tell" prints all that it knows as one line of JSON, "deaf" has it
// miss batches: it leaves the publish port until its first topic has gone on by twenty batches.
"use strict";
const net = require("node:net");

const AGAIN_MS = 400, BOOK_AGAIN_MS = 500, GIVE_UP_MS = 20_000, REPORT_MS = 5_000, DEAF_BATCHES = 20n;
const IDS = { 1: [0, 0], 5: [0, 1], 12: [0, 0], 100: [0, 1], 101: [0, 1], 102: [0, 1], 103: [0, 1] };
const LATE = 1000, SNAPSHOT = 12, DEPTH = 5, GAP = 100, VOID = 101, RESET = 102, GIVEN_UP = 103;

// ── ZMTP 3.0 over TCP, mechanism NULL (rfc.zeromq.org/spec/23) ───────────────────────────────────────────────

class Peer {
  constructor(port, type, hear, greet = () => {}) {
    Object.assign(this, { port, type, hear, greet, closed: false });
    this.connect();
  }

  connect() {
    this.bytes = Buffer.alloc(0);
    this.greeted = this.ready = false;
    this.parts = [];
    this.socket = net.connect(this.port, "127.0.0.1");
    this.socket.on("error", () => {});
    this.socket.on("close", () => { this.ready = false; if (!this.closed) setTimeout(() => this.closed || this.connect(), 50); });
    this.socket.on("data", (data) => { this.bytes = Buffer.concat([this.bytes, data]); this.read(); });
    const greeting = Buffer.alloc(64);
    greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0]);
    greeting.write("NULL", 12);
    this.socket.write(greeting);
  }

  close() { this.closed = true; this.socket.destroy(); }

  read() {
    if (!this.greeted) {
      if (this.bytes.length < 64) return;
      this.bytes = this.bytes.subarray(64);
      this.greeted = true;
      const type = Buffer.from(`\x05READY\x0bSocket-Type\0\0\0${String.fromCharCode(this.type.length)}${this.type}`, "latin1");
      this.write(4, type);
    }
    let at = 0;
    while (at + 2 <= this.bytes.length) {
      const flags = this.bytes[at], long = flags & 2;
      if (long && at + 9 > this.bytes.length) break;
      const size = long ? Number(this.bytes.readBigUInt64BE(at + 1)) : this.bytes[at + 1];
      const begin = at + (long ? 9 : 2);
      if (begin + size > this.bytes.length) break;
      at = begin + size;
      this.take(flags, Buffer.from(this.bytes.subarray(begin, at)));
    }
    this.bytes = this.bytes.subarray(at);
  }

  take(flags, body) {
    if (flags & 4) {
      const name = body.toString("latin1", 1, 1 + body[0]);
      if (name === "READY") { this.ready = true; this.greet(this); }
      if (name === "PING") this.write(4, Buffer.concat([Buffer.from("\x04PONG", "latin1"), body.subarray(7)]));
      return;
    }
    this.parts.push(body);
    if (!(flags & 1)) this.hear(this.parts.splice(0));
  }

  write(flags, body) {
    const head = body.length < 256 ? Buffer.from([flags, body.length]) : Buffer.alloc(9);
    if (body.length >= 256) { head[0] = flags | 2; head.writeBigUInt64BE(BigInt(body.length), 1); }
    this.socket.write(Buffer.concat([head, body]));
  }

  send(...parts) {  // what cannot be said now is said again later
    if (this.ready) parts.forEach((part, n) => this.write(n + 1 < parts.length ? 1 : 0, Buffer.from(part)));
  }
}

// ── MessagePack: what batches and answers need; every integer is a BigInt ────────────────────────────────────

function unpack(bytes, at = 0) {
  const many = (count, read) => { const found = []; for (let n = 0; n < count; n++) found.push(read()); return found; };
  const unsigned = (size) => { let n = 0n; while (size--) n = (n << 8n) | BigInt(bytes[at++]); return n; };
  const text = (size) => bytes.toString("utf8", at, (at += Number(size)));
  function map(size) { return new Map(many(Number(size), () => [next(), next()])); }
  function next() {
    const lead = bytes[at++];
    if (lead < 0x80) return BigInt(lead);
    if (lead < 0x90) return map(lead & 15);
    if (lead < 0xa0) return many(lead & 15, next);
    if (lead < 0xc0) return text(lead & 31);
    if (lead >= 0xe0) return BigInt(lead - 256);
    if (lead === 0xc0) return null;
    if (lead === 0xc2 || lead === 0xc3) return lead === 0xc3;
    if (lead === 0xcb) return bytes.readDoubleBE((at += 8) - 8);
    if (lead >= 0xcc && lead <= 0xcf) return unsigned(1 << (lead - 0xcc));
    if (lead >= 0xd0 && lead <= 0xd3) return BigInt.asIntN(8 << (lead - 0xd0), unsigned(1 << (lead - 0xd0)));
    if (lead >= 0xd9 && lead <= 0xdb) return text(unsigned(1 << (lead - 0xd9)));
    if (lead === 0xdc || lead === 0xdd) return many(Number(unsigned(lead === 0xdc ? 2 : 4)), next);
    if (lead === 0xde || lead === 0xdf) return map(unsigned(lead === 0xde ? 2 : 4));
    throw new Error(`MessagePack ${lead.toString(16)} is not expected here`);
  }
  return next();
}

function pack(value) {
  if (Array.isArray(value)) return Buffer.concat([Buffer.from([0x90 | value.length]), ...value.map(pack)]);
  const bytes = Buffer.alloc(9, 0xcf);
  bytes.writeBigUInt64BE(value, 1);
  return bytes;
}

// ── a batch ──────────────────────────────────────────────────────────────────────────────────────────────────

function batchOf(frame) {
  const space = frame.indexOf(0x20), head = frame.subarray(space + 1);
  if (head[0] !== 0x99) throw new Error(`not a batch: ${frame.toString("latin1", 0, 64)}`);
  const continuity = head.readUInt16BE(55);
  return {
    topic: frame.toString("utf8", 0, space), schema: head.readUInt16BE(2), epoch: head.readBigUInt64BE(5), sequence: head.readBigUInt64BE(14),
    count: head.readUInt32BE(23), firstId: head.readBigInt64BE(28), lastId: head.readBigInt64BE(37), publishNs: head.readBigUInt64BE(46),
    chained: ((continuity >> 3) & 3) === 1, numbering: continuity >> 12, events: () => unpack(head, 57),
  };
}

// ── a topic: batches in the order of their sequences, events by their ids ────────────────────────────────────

class Topic {
  constructor(name) {
    Object.assign(this, {
      name, next: null, heard: false, held: new Map(), former: [], behind: false, asked: -AGAIN_MS, since: 0,
      highest: null, open: [], remembered: [], numbering: null,
      events: [], records: [], missing: [], copies: 0, repaired: 0, lost: 0n,
      book: null, awaitsBook: name.split(".")[1].startsWith("depth"), bookAsked: -BOOK_AGAIN_MS, books: 0,
    });
  }

  take(batch) {
    if (this.next === null || (!this.heard && batch.sequence < this.next)) this.next = batch.sequence;
    this.heard = true;
    if (batch.sequence >= this.next) this.held.set(batch.sequence, batch);
    this.drain();
  }

  drain() {
    while (!this.awaitsBook && this.held.has(this.next)) {
      const batch = this.held.get(this.next);
      this.held.delete(this.next);
      this.next += 1n;
      if (this.former.length && this.highest !== null && batch.firstId > this.highest + 1n)
        for (const earlier of this.former.splice(0)) this.apply(earlier);  // the new life did not bring it again
      this.apply(batch);
    }
    const ahead = this.behind || this.held.size > 0;
    if (!ahead || this.awaitsBook) this.since = 0;
    else this.since ||= performance.now();
  }

  beginAnew() {  // a new epoch
    this.former.push(...[...this.held.values()].sort((a, b) => (a.sequence < b.sequence ? -1 : 1)));
    this.held.clear();
    Object.assign(this, { next: 1n, behind: false, asked: -AGAIN_MS, since: 0 });
  }

  lose(through) {  // these sequences can no longer be had
    while (this.next <= through)
      if (this.held.has(this.next)) this.drain();
      else { this.lost += 1n; this.next += 1n; this.withoutBook(); }
    this.drain();
  }

  withoutBook() { if (this.book) { this.book = null; this.awaitsBook = true; } }

  apply(batch) {
    if (this.numbering !== null && batch.numbering !== this.numbering && batch.schema !== RESET) {
      const ahead = (batch.numbering - this.numbering) & 15;
      if (ahead > 8) { this.copies += batch.count; return; }
      this.records.push(["reset missed", batch.firstId, batch.lastId]);
      Object.assign(this, { highest: batch.firstId - 1n, open: [], remembered: [] });
    }
    this.numbering = batch.numbering;
    const late = batch.schema > LATE, schema = late ? batch.schema - LATE : batch.schema;
    const ids = IDS[schema];
    if (!ids) throw new Error(`schema ${schema} is not expected on ${this.name}`);
    for (const event of batch.events()) this.applyEvent(schema, late, event, event[ids[0]], event[ids[1]], batch.chained);
  }

  applyEvent(schema, late, event, first, last, chained) {
    const without = (ranges) => ranges.flatMap(([a, b]) => [[a, b < first ? b : first - 1n], [a > last ? a : last + 1n, b]].filter(([c, d]) => c <= d));
    const within = (ranges) => ranges.some(([a, b]) => a <= first && last <= b);
    if (schema === RESET) {
      this.records.push(["reset", first, last]);
      Object.assign(this, { highest: last - 1n, open: [], remembered: [] });
      return this.withoutBook();
    }
    if (late) {
      if (!within(this.open) && !within(this.remembered)) { this.copies += 1; return; }
      [this.open, this.remembered] = [without(this.open), without(this.remembered)];
      this.events.push(event);
      return;
    }
    if (schema === SNAPSHOT) {
      if (this.highest === null || last >= this.highest) this.takeBook(event);
      return;
    }
    const closes = schema === VOID || schema === GIVEN_UP;
    if (closes) { this.open = without(this.open); this.remembered.push([first, last]); }
    if (this.highest !== null && last <= this.highest) { if (!closes) this.copies += 1; return; }
    if (chained && this.highest !== null && first > this.highest + 1n) {
      this.missing.push([this.highest + 1n, first - 1n]);
      this.withoutBook();
    }
    this.highest = last;
    if (schema === GAP) { this.open.push([first, last]); this.withoutBook(); }
    if (schema >= GAP) this.records.push([schema, first, last]);
    else if (schema === DEPTH) this.change(event);
    else this.events.push(event);
  }

  takeBook(event) {
    this.book = { bids: new Map(event[1]), asks: new Map(event[2]) };
    [this.highest, this.open, this.awaitsBook] = [event[0], [], false];
    this.books += 1;
  }

  change(event) {
    if (!this.book) return;
    [this.book.bids, this.book.asks].forEach((side, n) => {
      for (const [price, quantity] of event[2 + n]) Number(quantity) === 0 ? side.delete(price) : side.set(price, quantity);
    });
  }
}

// ── the feed ─────────────────────────────────────────────────────────────────────────────────────────────────

const [publishPort, replayPort, booksPort, ...names] = process.argv.slice(2);
const topics = new Map(names.map((name) => [name, new Topic(name)]));
const left = new Set();
let epoch = null, heartbeat = -1n, unsure = new Set(), asked = 0, deafUntil = null, told = -REPORT_MS, refused = 0, answers = 0;

function enter(other) {
  if (other === epoch) return true;
  if (left.has(other)) { refused += 1; return false; }
  if (epoch !== null) { left.add(epoch); topics.forEach((topic) => topic.beginAnew()); }
  [epoch, heartbeat] = [other, -1n];
  return true;
}

function hearPublished([frame]) {
  const batch = batchOf(frame), topic = topics.get(batch.topic);
  if (!enter(batch.epoch)) return;
  if (topic) topic.take(batch);
  if (batch.topic !== "heartbeat") return;
  if (batch.sequence !== heartbeat + 1n) [unsure, asked] = [new Set(names), -AGAIN_MS];  // the first of a life, or one was missed
  heartbeat = batch.sequence;
}

function hearAnswer([word, wanted, head, ...frames]) {
  if (!head) return;  // the empty frame
  const [of, first, newest] = unpack(head), topic = topics.get(wanted.toString());
  if (of !== epoch) return;  // late, or early: it is asked for again
  if (word.toString() === "since") {
    answers += 1;
    const before = topic.next;
    if (first > topic.next) topic.lose(first - 1n);
    for (const frame of frames) topic.take(batchOf(frame));
    topic.repaired += Number(topic.next - before);
    topic.behind = newest >= topic.next;
    if (frames.length) topic.asked = -AGAIN_MS;  // more at once after progress
    topic.drain();
  } else {
    unsure.delete(topic.name);
    const newestOf = first.get(topic.name);  // [epoch, {topic: newest}]
    if (deafUntil !== null && topic.name === names[0] && newestOf >= deafUntil) { deafUntil = null; subscribe(); }
    if (topic.next === null) topic.next = newestOf === undefined ? 1n : newestOf + 1n;
    else topic.behind = newestOf !== undefined && newestOf >= topic.next;
  }
}

function hearBook([word, frame]) {
  if (word.toString() !== "book") return;
  const batch = batchOf(frame), topic = topics.get(batch.topic);
  // Of another life, or behind: it is asked for again.
  if (!topic.awaitsBook || batch.epoch !== epoch || (topic.next !== null && batch.sequence + 1n < topic.next)) return;
  topic.takeBook(batch.events()[0]);
  topic.numbering = batch.numbering;
  for (const sequence of topic.held.keys()) if (sequence <= batch.sequence) topic.held.delete(sequence);
  [topic.next, topic.heard] = [batch.sequence + 1n, true];
  topic.drain();
}

function tick() {
  const now = performance.now();
  if (deafUntil !== null) replay.send("newest", names[0]);
  if (unsure.size && now - asked >= AGAIN_MS) { asked = now; unsure.forEach((name) => replay.send("newest", name)); }
  for (const topic of topics.values()) {
    if (topic.awaitsBook) {
      if (now - topic.bookAsked >= BOOK_AGAIN_MS) { topic.bookAsked = now; books.send("book", topic.name); }
    } else if ((topic.behind || topic.held.size) && now - topic.asked >= AGAIN_MS) {
      topic.asked = now;
      replay.send("since", topic.name, pack(topic.next));
    }
    if (topic.since && now - topic.since > GIVE_UP_MS && topic.held.size) topic.lose([...topic.held.keys()].reduce((a, b) => (a < b ? a : b)) - 1n);
  }
  if (now - told >= REPORT_MS) {
    told = now;
    let waiting = 0, lost = 0n;
    for (const topic of topics.values()) { waiting += topic.held.size; lost += topic.lost; }
    replay.send("reader", "node_client", pack([BigInt(waiting), lost]));
  }
}

let published;
function subscribe() {
  published = new Peer(publishPort, "SUB", hearPublished, (peer) => {
    for (const name of [...names, "heartbeat"]) peer.send(`\x01${name} `);
  });
}

function tell() {
  const all = [...topics.values()].map((topic) => {
    const { name, next, highest, open, events, records, missing, copies, repaired, lost, books } = topic;
    const book = topic.book && { bids: [...topic.book.bids], asks: [...topic.book.asks] };
    return [name, { next, highest, open, events, records, missing, copies, repaired, lost, books, book, held: topic.held.size }];
  });
  const state = { topics: Object.fromEntries(all), epoch, lives: left.size + 1, deaf: deafUntil !== null, refused, answers };
  console.log(JSON.stringify(state, (_, value) => (typeof value === "bigint" ? String(value) : value)));
}

const replay = new Peer(replayPort, "DEALER", hearAnswer);
const books = new Peer(booksPort, "DEALER", hearBook);
subscribe();
setInterval(tick, 50);
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  if (line === "tell") tell();
  if (line === "deaf") { deafUntil = topics.get(names[0]).next + DEAF_BATCHES; published.close(); }
}).on("close", () => process.exit(0));
