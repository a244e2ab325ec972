// What the page knows: the appliance, its channels and its newest events, kept current.

import { batch, signal } from "./html.js";
import { get, post, signIn } from "./api.js";
import { Channel, isChannel } from "./channel.js";
import { ApplianceClock, now } from "./clock.js";
import { count } from "./format.js";
import { Live } from "./live.js";
import { caughtUp } from "./words.js";

const TICK_MS = 250; // a value is at most this much older than its mark
const RETRY_MS = 2_000;
const SYSTEM_MS = 60_000; // an update may be installed without anything being heard of it
const NOTICE_S = 12; // how long a sentence about what was caught up or passed over stays
const FETCHES = 3; // sparklines asked for at a time
// After these the catalog may be another one.
const CHANGES = /^(device\.\w+\.(attached|detached)|runtime\.booted)$/;
const SYSTEM = /^runtime\.(update|configuration)$/;
const SPARK = { span_s: 600, points: 120 };

export const clock = new ApplianceClock();

/** `loading`, `ready`, or a RequestError. */
export const phase = signal("loading");
/** `{name, version, boot, clockState, role}`. */
export const appliance = signal({ name: "", version: "", boot: null, clockState: "", role: "" });
/** Channels in the catalog's order. */
export const channels = signal([]);
/** `{state, heardAt}`: see live.js. */
export const contact = signal({ state: "connecting", heardAt: null });
/** One sentence about what was caught up or passed over, or "". */
export const notice = signal("");
/** Sentences for every page, worst first: `{id, level, text, lasting}`. */
export const notices = signal([]);
/** Highest sequence number applied. */
export const head = signal(0);
/** Local monotonic seconds, whole; for what must be written anew each second. */
export const second = signal(Math.floor(now()));

const byKey = new Map();
const listeners = new Set();
let live = null;
let firstBeat = null;
const beaten = new Promise((resolve) => {
  firstBeat = resolve;
});
let spared = 0; // readings passed over since the notice was empty
let away = null; // {since, events, lost, until}: what is being caught up

export const isConnected = () => contact.value.state === "live";
export const channel = (key) => byKey.get(key);

/** Calls `listener(events, gaps, frame)` for all that arrives; returns how to stop that. */
export function onEvents(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Loads everything, connects, and keeps trying until that works. */
export async function start() {
  try {
    await load();
  } catch (error) {
    phase.value = error;
    setTimeout(start, RETRY_MS);
    return;
  }
  phase.value = "ready";
  live = new Live({ onEvents: take, onBeat, onContact, onReset, after: head.value });
  live.start();
  setInterval(tick, TICK_MS);
  setInterval(fetchNotices, SYSTEM_MS);
  document.addEventListener("visibilitychange", tick);
  fillTraces(channels.value);
}

async function load() {
  const [latest] = await Promise.all([get("latest"), describe(), fetchNotices()]);
  for (const each of latest.latest) byKey.get(each.route)?.latest(each);
  head.value = latest.head;
  tick();
}

/** Learns who the appliance is and which channels it has. */
async function describe() {
  const [identity, session, catalog] = await Promise.all([
    get("identity"),
    get("session"),
    get("routes"),
  ]);
  introduce(identity, session);
  adopt(catalog.routes);
}

function introduce(identity, session) {
  const { version } = appliance.peek();
  // After an update these scripts are not those of the panel any more.
  if (version && identity.version !== version) location.reload();
  appliance.value = {
    name: identity.label || identity.name || "",
    version: identity.version ?? "",
    boot: identity.boot ?? null,
    clockState: identity.clock_state ?? "",
    role: session.role ?? "",
  };
}

/** Takes the catalog; channels that stay keep their values. */
function adopt(routes) {
  const watched = routes.filter(isChannel);
  for (const route of watched) {
    const known = byKey.get(route.route);
    if (known) known.describe(route);
    else byKey.set(route.route, new Channel(route));
  }
  channels.value = watched.map(({ route }) => byKey.get(route));
}

/** Learns what is to be said on every page; what was said stays where that cannot be had. */
async function fetchNotices() {
  try {
    notices.value = (await get("system")).notices ?? [];
  } catch {
    // Where the runtime is away the page says so already.
  }
}

/** Takes note of a sentence for everybody: it need not be on every page any more. */
export async function acknowledge(id) {
  await post("system/acknowledge", { id });
  await fetchNotices();
}

function take(events, gaps, frame) {
  batch(() => {
    for (const event of events) {
      if (frame.live && event.mono) clock.heard(event.mono);
      byKey.get(event.route)?.take(event, clock.age(event));
      byKey.get(event.route)?.refresh(isConnected());
      if (event.route === "clock.wall") noteClock(event.value);
    }
    head.value = live.sequence.last ?? head.value;
  });
  for (const listener of listeners) listener(events, gaps, frame);
  if (frame.count > frame.events.length) fallBehind(frame.count - frame.events.length);
  if (events.some(({ route }) => CHANGES.test(route))) refetchCatalog();
  if (events.some(({ route }) => SYSTEM.test(route))) refetchNotices();
  countBack(events, gaps);
}

/** Readings that this browser was spared: said, and fetched for the sparklines. */
function fallBehind(many) {
  spared += many;
  if (!away) say(`This browser fell behind: ${count(spared, "reading")} passed over.`);
  refetchTraces();
}

function noteClock(value) {
  if (value?.state) appliance.value = { ...appliance.value, clockState: value.state };
}

function onBeat(beat) {
  clock.beat(beat);
  firstBeat();
  if (beat.clock_state) noteClock({ state: beat.clock_state });
  if (away && away.until === null && (beat.age_s ?? 0) < 1) away.until = beat.head;
  if (away) settle();
}

function onContact(state) {
  if (state.state === "unauthorised") signIn();
  if (state.state === "live" && away) {
    away.back = now();
    refetchCatalog();
    refetchNotices();
  } else if (contact.value.state === "live") {
    away = { since: state.heardAt, back: null, until: null, events: 0, lost: 0 };
    notice.value = "";
  }
  contact.value = state;
  tick();
}

/** The appliance began a new log: nothing on this page belongs to it. */
function onReset() {
  location.reload();
}

/** Counts what arrives after an absence, until the number that was newest on return is reached. */
function countBack(events, gaps) {
  if (!away) return;
  away.events += events.length;
  for (const gap of gaps) away.lost += gap.last - gap.first + 1;
  settle();
}

function settle() {
  if (!away.back || away.until === null || (live.sequence.last ?? 0) < away.until) return;
  say(caughtUp(away.back - away.since, { ...away, spared }));
  away = null;
}

/** Shows a sentence for a while. */
function say(sentence) {
  notice.value = sentence;
  setTimeout(() => {
    if (notice.value !== sentence) return;
    notice.value = "";
    spared = 0;
  }, NOTICE_S * 1000);
}

function tick() {
  const connected = isConnected() || phase.value !== "ready";
  batch(() => {
    for (const each of channels.value) each.refresh(connected);
    second.value = Math.floor(now());
  });
}

const refetchTraces = debounce(() => fillTraces(channels.value), 2_000);
// Where this fails the next change asks again.
const refetchCatalog = debounce(() => describe().catch(() => {}), 1_000);

const refetchNotices = debounce(fetchNotices, 500);

/** Fills each channel's sparkline with what was there before the page was. */
async function fillTraces(wanted) {
  await beaten; // only then is it known when "ten minutes ago" was
  const queue = [...wanted];
  const worker = async () => {
    for (let each = queue.shift(); each; each = queue.shift()) await fillTrace(each);
  };
  await Promise.all(Array.from({ length: FETCHES }, worker));
}

async function fillTrace(each) {
  if (each.route.kind === "text") return;
  try {
    const { points } = await get(`routes/${encodeURIComponent(each.key)}/history`, SPARK);
    for (const [ms, value, quality] of points) {
      const at = clock.moment(ms);
      if (at !== null) each.trace.add(at, each.plain(value), quality);
    }
    each.version.value += 1;
  } catch {
    // A sparkline without its past is still true: it begins where the page began.
  }
}

function debounce(action, ms) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => action(), ms);
  };
}
