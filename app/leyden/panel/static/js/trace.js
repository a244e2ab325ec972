// The last ten minutes of one channel, in a fixed number of buckets, drawn as a line with its gaps.

export const SPAN_S = 600;
const BUCKETS = 120;
const BUCKET_S = SPAN_S / BUCKETS;
const ROOM = 0.08; // of the height, above and below the extremes
const NOTHING = 0;
const VALUE = 1;
const DOUBT = 2; // uncertain: drawn and hatched
const HOLE = 3; // bad: hatched only

/** A ring of buckets over the browser's monotonic time; constant memory for ever. */
export class Trace {
  #slot = new Float64Array(BUCKETS).fill(-Infinity); // which bucket of all time is here
  #at = new Float64Array(BUCKETS);
  #value = new Float64Array(BUCKETS); // mean of the bucket
  #count = new Uint32Array(BUCKETS);
  #kind = new Uint8Array(BUCKETS);

  /** Notes a value (or null) of `quality` that was true `at` (local monotonic s). */
  add(at, value, quality) {
    if (typeof value === "string") return; // words have no height
    const slot = Math.floor(at / BUCKET_S);
    const i = ((slot % BUCKETS) + BUCKETS) % BUCKETS;
    if (slot < this.#slot[i] || (slot === this.#slot[i] && at < this.#at[i])) return;
    if (slot !== this.#slot[i]) this.#empty(i, slot);
    const kind = kindOf(value, quality);
    this.#at[i] = at;
    this.#kind[i] = Math.max(this.#kind[i], kind);
    if (kind !== HOLE) this.#mix(i, value);
  }

  #empty(i, slot) {
    this.#slot[i] = slot;
    this.#kind[i] = NOTHING;
    this.#count[i] = 0;
  }

  #mix(i, value) {
    this.#count[i] += 1;
    // A state has no mean: its newest is what counts.
    if (typeof value === "boolean") this.#value[i] = Number(value);
    else this.#value[i] += (value - this.#value[i]) / this.#count[i];
  }

  /** Points of the last ten minutes, oldest first: `{at, value, kind}`. */
  points(at) {
    const last = Math.floor(at / BUCKET_S);
    const found = [];
    for (let slot = last - BUCKETS + 1; slot <= last; slot++) {
      const i = ((slot % BUCKETS) + BUCKETS) % BUCKETS;
      if (this.#slot[i] !== slot || this.#kind[i] === NOTHING) continue;
      found.push({ at: this.#at[i], value: this.#value[i], kind: this.#kind[i] });
    }
    return found;
  }

  /**
   * Draws into a box of `width` by `height`: `{line, hatches, band}`.
   *
   * `line` is an SVG path; `hatches` are `[left, width, kind]`, in shares of the width, where there
   * was no value to trust, `kind` being `uncertain`, `bad`, or `silent` for a silence that lasts
   * until now; `band` is `[y, height]` of the normal range, or null. `silent` says that no value
   * holds any more.
   */
  draw({ at, width, height, periodS, normal, step, stepped, silent }) {
    const points = this.points(at);
    const scale = verticalScale(points, { normal, step }, height);
    const x = (moment) => ((moment - at + SPAN_S) / SPAN_S) * width;
    const reach = Math.max(periodS ? 2.5 * periodS : Infinity, 3 * BUCKET_S);
    return {
      line: line(points, x, scale.y, reach, stepped ? width : null),
      hatches: hatches(points, x, reach, width, silent),
      band: normal && scale.band(normal),
    };
  }
}

function kindOf(value, quality) {
  if (quality === "bad" || value === null || !Number.isFinite(Number(value))) return HOLE;
  return quality === "uncertain" ? DOUBT : VALUE;
}

/** The vertical scale holds every value and the normal band; a still value stays a still line. */
function verticalScale(points, { normal, step }, height) {
  const values = points.filter(({ kind }) => kind !== HOLE).map(({ value }) => value);
  if (normal) values.push(...normal);
  if (!values.length) return { y: () => height / 2, band: () => null };
  let low = Math.min(...values);
  let high = Math.max(...values);
  const banded = normal && normal[1] > normal[0]; // then the band is a scale by itself
  const least = banded ? 0 : Math.max(20 * (step || 0), Math.abs(high) / 20) || 1;
  if (high - low < least) {
    const middle = (high + low) / 2;
    [low, high] = [middle - least / 2, middle + least / 2];
  }
  const room = (high - low) * ROOM;
  const y = (value) => height * (1 - (value - low + room) / (high - low + 2 * room));
  return { y, band: ([from, to]) => [y(to), y(from) - y(to)] };
}

/** The path; it breaks where two points are further apart than `reach`. */
function line(points, x, y, reach, stepEnd) {
  const path = [];
  let before = null;
  for (const point of points) {
    if (point.kind === HOLE) {
      before = null;
      continue;
    }
    const joined = before && point.at - before.at <= reach;
    const [px, py] = [x(point.at).toFixed(1), y(point.value).toFixed(1)];
    if (joined && stepEnd !== null) path.push(`H${px}V${py}`);
    // A point on its own still shows: a stroke of no length with round ends is a dot.
    else path.push(joined ? `L${px} ${py}` : `M${px} ${py}h.01`);
    before = point;
  }
  if (before && stepEnd !== null && reach === Infinity) path.push(`H${stepEnd}`);
  return path.join("");
}

/** Spans without a value to trust: a point's own doubt, and a silence that lasts until now. */
function hatches(points, x, reach, width, silent) {
  const spans = [];
  const add = (from, to, kind) => {
    const newest = spans.at(-1);
    if (newest?.[2] === kind && from <= newest[1] + 0.5) newest[1] = to;
    else spans.push([from, to, kind]);
  };
  points.forEach((point, i) => {
    const next = points[i + 1];
    const near = next && next.at - point.at <= reach ? x(next.at) : x(point.at + BUCKET_S);
    // What was said to be bad is bad until something else is said.
    if (point.kind === HOLE) add(x(point.at), next ? x(next.at) : width, "bad");
    if (point.kind === DOUBT) add(x(point.at), near, "uncertain");
  });
  const last = points.at(-1);
  const over = silent && last?.kind === VALUE;
  if (over || (last && x(last.at + reach) < width)) add(x(last.at), width, "silent");
  return spans.map(([from, to, kind]) => {
    const [left, right] = [Math.max(0, from), Math.min(width, to)];
    return [left / width, Math.max(0, right - left) / width, kind];
  });
}
