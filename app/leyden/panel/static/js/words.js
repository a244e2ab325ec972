// Words: codes of the wire as sentences for people.

import { count, duration } from "./format.js";
import { NOT_CONNECTED } from "./staleness.js";

const REASONS = {
  stale: "stale",
  no_data: "no value",
  checksum: "checksum error",
  stuck_data: "data stuck",
  wrong_device: "wrong device",
  device_reset: "device was reset",
  not_ready: "not ready",
  out_of_range: "impossible value",
  saturated: "at the end of its range",
  warming_up: "warming up",
  implausible: "implausible",
  substituted: "substituted",
};

const STATES = {
  absent: "absent",
  starting: "starting",
  online: "online",
  degraded: "degraded",
  offline: "offline",
  failed: "failed",
};

// A reason in words may say how long ago it was written that way; the panel counts on by itself.
const WRITTEN_AGE = / for \d+(\.\d+)? ?(ms|s|min|h|d)\b/;

/** How far the time of day can be trusted, in words. */
export const CLOCKS = {
  synced: "synced",
  stepped: "was set, not synced yet",
  unsynced: "not synced",
};

/** A reason code in words. */
export const reason = (code) => REASONS[code] ?? (code ?? "").replaceAll("_", " ");

/** A device state in words. */
export const state = (code) => STATES[code] ?? (code ?? "").replaceAll("_", " ");

/** The line below a value that is not good: "stale 3 s · no answer from 0x76". */
export function reasonLine({ quality, reason: code, detail = "" }, ageS) {
  if (quality === "good") return "";
  const age = ageS === null ? "" : duration(ageS);
  if (detail === NOT_CONNECTED) return join(age && `${age} old`, detail);
  const waiting = code === "stale" || code === "no_data";
  const rest = waiting ? detail.replace(WRITTEN_AGE, "") : detail;
  const aged = waiting || quality === "bad" ? age : "";
  // What keeps a value from coming says by itself that there is none.
  if (code === "no_data" && !rest && !age) return "no value yet";
  const first = code === "no_data" && rest && aged ? "" : reason(code) || quality;
  if (!aged && rest.startsWith(first)) return rest;
  return join([first, aged].filter(Boolean).join(" "), rest);
}

const join = (...parts) => parts.filter(Boolean).join(" · ");

/** What a mark means, for those who cannot see it. */
export const markWord = (mark) =>
  ({ good: "good", uncertain: "uncertain", stale: "stale", bad: "bad" })[mark];

/** The label of a channel with its device: "Air · temperature". */
export function label({ label: own, group, route, device }) {
  if (own?.includes(" · ")) return own;
  const [owner, ...stream] = route.split(";")[0].split(".");
  const name = own || words(stream.join(" "));
  const before = group || capital((device || owner).replaceAll("_", " "));
  if (name.toLowerCase().startsWith(before.toLowerCase())) return name;
  // Sentence case goes through the whole label; "Bed 1" and "PM2.5" are names and stay.
  const inside = /^[A-Z][a-z]+(?![a-z]| \d)/.test(name)
    ? name.charAt(0).toLowerCase() + name.slice(1)
    : name;
  return `${before} · ${inside}`;
}

/** The one sentence about all channels. */
export function health(channels) {
  const marks = channels.map((channel) => channel.view.value.mark);
  const bad = marks.filter((mark) => mark === "bad").length;
  const unsure = marks.filter((mark) => mark === "uncertain" || mark === "stale").length;
  if (!bad && !unsure) return `All ${count(marks.length, "channel")} good`;
  if (!bad) return `${count(unsure, "channel")} uncertain`;
  // Both fit on a phone's line only without the noun.
  return unsure
    ? `${bad} without a value, ${unsure} uncertain`
    : `${count(bad, "channel")} without a value`;
}

/** What was caught up after `awayS` without contact. */
export function caughtUp(awayS, { events, lost, spared }) {
  const parts = [`${count(events, "event")} caught up`];
  if (spared) parts.push(`${count(spared, "reading")} passed over`);
  if (lost) parts.push(`${count(lost, "event")} lost`);
  if (!spared && !lost) parts.push("none missing");
  return `Back after ${duration(awayS)}: ${parts.join(", ")}.`;
}

/** What people want to know of the system's own events; the first that fits the route tells. */
const TELLERS = [
  [/^runtime\.booting$/, ({ name, boot }) => join("starting", name, boot && `boot ${boot}`)],
  [/^runtime\.booted$/, ({ devices }) => join("running", payload(devices))],
  [/^runtime\.shutting_down$/, (value) => join("stopping", payload(value))],
  [/^runtime\.shutdown$/, (value) => join("stopped", payload(value))],
  [
    /^runtime\.identity$/,
    ({ model, hostname, os, device_id: id }) => join(model, hostname, os, id && `id ${id}`),
  ],
  [
    /^clock\.wall$/,
    ({ state: now, step_s: step }) =>
      join(now, step ? `stepped by ${duration(Math.abs(step))}` : ""),
  ],
  [/^device\./, ({ device, channels, ...rest }) => payload(rest)],
  [
    /^service\./,
    ({ service, restarts, ...rest }) => join(payload(rest), restarts ? `restart ${restarts}` : ""),
  ],
  [
    /^intent\./,
    ({ payload: asked, who, role, outcome, detail }) =>
      join(payload(asked), outcome, detail, who && `by ${who}`, role),
  ],
];

/** What an event says, without its route and time. */
export function says({ route, value, detail }) {
  const teller = TELLERS.find(([pattern]) => pattern.test(route))?.[1] ?? payload;
  const told =
    value !== null && typeof value === "object" && !Array.isArray(value)
      ? teller(value)
      : payload(value);
  return join(told, detail && !told.includes(detail) ? detail : "");
}

function payload(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return value.map(payload).join(", ");
  return Object.entries(value)
    .filter(([, each]) => each !== null && each !== "")
    .map(([name, each]) => (name === "reason" ? reason(each) : `${words(name)} ${payload(each)}`))
    .join(" · ");
}

/** Words as they begin a sentence; a file's name stays as it is. */
export const sentence = (text) => text.replace(/^[a-z]+(?=[ ,])/, capital);

/** A name of a-z 0-9 _ as words: "pm2_5" is "pm2.5", "cpu_temperature" "cpu temperature". */
function words(name) {
  return name.replace(/(\d)_(\d)/g, "$1.$2").replaceAll("_", " ");
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
