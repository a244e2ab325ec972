// One channel: its newest value, what that is worth now, and its last ten minutes.

import { signal } from "./html.js";
import { now } from "./clock.js";
import { display, write } from "./format.js";
import { judge, limits } from "./staleness.js";
import { Trace } from "./trace.js";
import { label, reasonLine } from "./words.js";

const WAITING = {
  value: null,
  quality: "bad",
  reason: "no_data",
  detail: "nothing has arrived yet",
};

/**
 * Holds one route's state; `view` is what people see of it and changes only when that does.
 *
 * A view is `{mark, quality, text, widest, unit, struck, words}`: `mark` is good, uncertain, stale
 * or bad; `struck` says that `text` is the last value and no longer holds; `widest` is the longest
 * text so far.
 */
export class Channel {
  #reading = WAITING;
  #formed = false;
  #at = null; // local moment at which the last value was true
  #value = null; // the last value there was
  #drawn = "";
  #widest = "";

  constructor(route) {
    this.trace = new Trace();
    this.version = signal(0); // rises when the trace has something new
    this.describe(route);
    this.view = signal(null);
    this.refresh(true);
  }

  /** Takes the catalog's row of this route, at first or after a change. */
  describe(route) {
    this.route = route;
    this.key = route.route;
    this.label = label(route);
    this.group = route.group || this.label.split(" · ")[0];
    this.form = display(route, this.#value);
  }

  /** Takes the answer of `latest`: a value with the age it had then. */
  latest({ value, last_value: lastValue, quality, reason, detail, age_s: ageS, n, time }) {
    const kept = value ?? lastValue ?? null;
    if (kept !== null && ageS !== null && ageS !== undefined) this.#keep(kept, now() - ageS);
    this.#reading = { value, quality, reason, detail, n, time };
    // A stale value was worth more when it came; the history knows how much.
    if (value !== null && value !== undefined && reason !== "stale")
      this.trace.add(this.#at, value, quality);
  }

  /** Takes an event that happened `ageS` ago. */
  take(event, ageS) {
    const { value = null, quality = "good", reason = "", detail = "", n, time } = event;
    if (n <= this.#reading.n) return; // `latest` was ahead of the stream
    const at = now() - (ageS ?? Infinity);
    // A repeated old value is as old as it was: only a new one begins its life now.
    if (value !== null && reason !== "stale") this.#keep(value, at);
    this.#reading = { value, quality, reason, detail, n, time };
    if (Number.isFinite(at)) this.trace.add(at, value, quality);
    this.version.value += 1;
  }

  #keep(value, at) {
    this.#value = value;
    this.#at = at;
    // A duration outgrows its unit sooner or later; everything else keeps the one it began with.
    if (!this.#formed || this.route.unit === "s") this.describe(this.route);
    this.#formed = true;
  }

  /** A history's mean as a value of this channel: a state is one or the other. */
  plain(mean) {
    return this.route.kind === "bool" && mean !== null ? mean >= 0.5 : mean;
  }

  /** Seconds since the last value was true; null when there never was one. */
  get ageS() {
    return this.#at === null ? null : now() - this.#at;
  }

  /** The newest reading as it arrived: `{value, quality, reason, detail, n, time}`. */
  get reading() {
    return this.#reading;
  }

  /** Judges the value again and shows what came of it. */
  refresh(connected) {
    const age = this.ageS;
    const period = this.route.period_s;
    const verdict = judge(this.#reading, period, age ?? Infinity, connected);
    const stale = verdict.reason === "stale" && verdict.quality === "uncertain";
    const old = verdict.quality !== "good" || (period && age > limits(period).stale);
    const text = write(this.#value, this.form);
    this.#show({
      mark: stale ? "stale" : verdict.quality,
      quality: verdict.quality,
      text,
      widest: this.#widen(text),
      unit: this.#value === null ? "" : this.form.unit,
      struck: verdict.quality === "bad" && this.#value !== null,
      words: reasonLine(verdict, old && Number.isFinite(age) ? age : null),
    });
  }

  /** Remembers the longest text, so that a number's size changes at most once a new digit. */
  #widen(text) {
    const ends = (this.route.normal ?? []).map((end) => write(end, this.form));
    for (const each of [...ends, text]) if (each.length > this.#widest.length) this.#widest = each;
    return this.#widest;
  }

  #show(view) {
    const drawn = JSON.stringify(view);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.view.value = view;
  }
}

/** Whether the catalog's row is a channel that people watch, and not bookkeeping or a raw form. */
export function isChannel({ origin, plane = "read", layer = "logical", variant = "payload" }) {
  const watched = plane === "read" || plane === "state";
  return origin !== "system" && watched && layer === "logical" && variant === "payload";
}
