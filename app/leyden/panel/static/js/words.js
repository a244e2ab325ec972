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
  const first = code === "no_data" && rest && aged ? "" : reason(code) || quality;
  return join([first, aged].filter(Boolean).join(" "), rest);
}

const join = (...parts) => parts.filter(Boolean).join(" · ");

/** What a mark means, for those who cannot see it. */
export const markWord = (mark) => ({ good: "good", uncertain: "uncertain", stale: "stale", bad: "bad" })[mark];

/** The label of a channel with its device: "Air · temperature". */
export function label({ label: own, group, route, device }) {
  if (own?.includes(" · ")) return own;
  const [owner, ...stream] = route.split(";")[0].split(".");
  const name = own || words(stream.join(" "));
  const before = group || capital((device || owner).replaceAll("_", " "));
  return name.toLowerCase().startsWith(before.toLowerCase()) ? name : `${before} · ${name}`;
}

/** The one sentence about all channels. */
export function health(channels) {
  const marks = channels.map((channel) => channel.view.value.mark);
  const bad = marks.filter((mark) => mark === "bad").length;
  const unsure = marks.filter((mark) => mark === "uncertain" || mark === "stale").length;
  if (!bad && !unsure) return `All ${count(marks.length, "channel")} good`;
  const parts = [];
  if (bad) parts.push(`${count(bad, "channel")} without a value`);
  if (unsure) parts.push(`${bad ? unsure : count(unsure, "channel")} uncertain`);
  return parts.join(", ");
}

/** What was caught up after `awayS` without contact. */
export function caughtUp(awayS, events, lost) {
  const back = `Back after ${duration(awayS)}: ${count(events, "event")} caught up, `;
  return back + (lost ? `${count(lost, "event")} lost.` : "none missing.");
}

/** Events of the system in a person's words, by the last part of the route. */
const HAPPENINGS = {
  "runtime.booting": "starting",
  "runtime.booted": "running",
  "runtime.shutting_down": "stopping",
  "runtime.shutdown": "stopped",
  "clock.wall": "clock",
  "link.gap": "numbers skipped",
};

/** What an event says, without its route and time. */
export function says({ route, value, detail }) {
  const known = HAPPENINGS[route];
  const told = payload(value);
  return [known, told, detail && !told.includes(detail) ? detail : ""].filter(Boolean).join(" · ");
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

/** A name of a-z 0-9 _ as words: "pm2_5" is "pm2.5", "cpu_temperature" "cpu temperature". */
function words(name) {
  return name.replace(/(\d)_(\d)/g, "$1.$2").replaceAll("_", " ");
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
