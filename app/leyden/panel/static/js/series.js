// The points of one trend: what the history told, and what has arrived since.

import { get } from "./api.js";

const POINTS = [240, 600]; // at least and at most: about one for each two pixels of the page
const GAP = 2.5; // periods without a point that are drawn as a hole

/** One channel's points over a range: `[ms, value|null, quality, min, max]`, oldest first. */
export class Series {
  #points = [];
  #asked = 0;

  constructor(route, rangeS) {
    Object.assign(this, { route, rangeS });
    this.count = Math.min(POINTS[1], Math.max(POINTS[0], Math.round(innerWidth / 2)));
    this.bucketS = rangeS / this.count;
  }

  /** Asks for the whole range; keeps what arrived live meanwhile. */
  async load(signal) {
    const asked = ++this.#asked;
    const query = { span_s: this.rangeS, points: this.count };
    const path = `routes/${encodeURIComponent(this.route.route)}/history`;
    const { points } = await get(path, query, signal);
    if (asked !== this.#asked) return;
    const end = points.at(-1)?.[0] ?? 0;
    this.#points = [...points, ...this.#points.filter(([ms]) => ms > end)];
  }

  /** Takes an event that has just arrived. */
  append({ time, value = null, quality = "good" }) {
    const ms = Date.parse(time);
    const plain = plot(value);
    if (ms > (this.#points.at(-1)?.[0] ?? 0)) this.#points.push([ms, plain, quality, plain, plain]);
  }

  /** Whether so many have arrived that the history should thin them. */
  get full() {
    return this.#points.length > 2 * this.count;
  }

  /** Drops what has left the range and returns the rest. */
  window(endMs) {
    const from = endMs - this.rangeS * 1000;
    const first = this.#points.findIndex(([ms]) => ms >= from);
    if (first > 0) this.#points.splice(0, first);
    return first === -1 ? [] : this.#points;
  }

  /** Seconds without a point after which the line breaks. */
  get reachS() {
    const period = this.route.period_s;
    return period ? Math.max(GAP * period, GAP * this.bucketS) : Infinity;
  }
}

/** Columns for the chart, with a null where the line must break: `{x, mean, low, high, source}`. */
export function columns(points, reachS) {
  const out = { x: [], mean: [], low: [], high: [], source: [] };
  const push = (x, mean, low, high, source) => {
    out.x.push(x);
    out.mean.push(mean);
    out.low.push(low);
    out.high.push(high);
    out.source.push(source);
  };
  let before = null;
  for (const point of points) {
    const [ms, value, quality, low, high] = point;
    const x = ms / 1000;
    if (before !== null && x - before > reachS) push(before + reachS / 2, null, null, null, null);
    const shown = quality === "bad" ? null : plot(value);
    push(x, shown, shown && (plot(low) ?? shown), shown && (plot(high) ?? shown), point);
    before = x;
  }
  return out;
}

/**
 * Spans of one quality for the strip under the chart: `{from, to, quality}` in s.
 *
 * A silence that lasts until now is as bad as the value now is, which `mark` tells; an earlier one
 * is no span at all.
 */
export function spans(points, reachS, endS, mark) {
  const found = [];
  points.forEach(([ms, , quality], i) => {
    const from = ms / 1000;
    const next = points[i + 1] ? points[i + 1][0] / 1000 : endS;
    // A value holds for about a period; what was said to be bad is so until something else is said.
    const to = next - from > reachS && quality !== "bad" ? from + reachS / GAP : next;
    const newest = found.at(-1);
    if (newest && newest.quality === quality && from - newest.to < 1e-6) newest.to = to;
    else found.push({ from, to, quality });
  });
  const last = found.at(-1);
  const silent = last && endS - last.to > 1 && mark !== "good";
  if (silent)
    found.push({ from: last.to, to: endS, quality: mark === "bad" ? "bad" : "uncertain" });
  return found;
}

/** Least, mean and greatest of the range, or null when there is no value in it. */
export function figures(points) {
  const values = points.filter(([, value, quality]) => value !== null && quality !== "bad");
  if (!values.length) return null;
  let [low, high, sum] = [Infinity, -Infinity, 0];
  for (const [, value, , min, max] of values) {
    low = Math.min(low, min ?? value);
    high = Math.max(high, max ?? value);
    sum += Number(value);
  }
  return { low, mean: sum / values.length, high };
}

function plot(value) {
  if (value === true || value === false) return Number(value);
  return typeof value === "number" ? value : null;
}
