// Time: the browser's monotonic clock, and what the appliance's clocks show beside it.
//
// The browser's own wall clock is never asked: it may be an hour off. Ages come from monotonic
// clocks on both sides, and every time of day that is shown is the appliance's.

const KEPT_S = 30; // long enough to meet one quick message, short enough to follow a drifting clock

/** Seconds on the browser's monotonic clock. */
export const now = () => performance.now() / 1000;

/** The appliance's monotonic and wall clock, as far as its messages tell. */
export class ApplianceClock {
  #ahead = []; // [local second, appliance's monotonic s minus ours], the largest of each second
  #wallMs = null; // appliance's wall ms minus our monotonic ms
  #beatMono = 0;

  /** Takes a beat: `time` (ISO) and, where known, `mono` (ns). */
  beat({ time, mono }, at = now()) {
    const wall = Date.parse(time);
    if (!Number.isNaN(wall)) this.#wallMs = wall - at * 1000;
    if (!mono) return;
    if (mono < this.#beatMono) this.#ahead = []; // the machine restarted: its clock began anew
    this.#beatMono = mono;
    this.heard(mono, at);
  }

  /** Takes a proof that the appliance's monotonic clock had reached `mono` (ns) by now. */
  heard(mono, at = now()) {
    // Messages are only ever late, so the largest difference is the nearest to the truth.
    const second = Math.floor(at);
    const ahead = mono / 1e9 - at;
    const newest = this.#ahead.at(-1);
    if (newest?.[0] === second) newest[1] = Math.max(newest[1], ahead);
    else this.#ahead.push([second, ahead]);
    while (this.#ahead[0][0] < second - KEPT_S) this.#ahead.shift();
  }

  /** Seconds since an event `{mono, time}` happened; null when nothing tells. */
  age({ mono, time }, at = now()) {
    if (mono && this.#ahead.length) {
      const age = at + Math.max(...this.#ahead.map(([, ahead]) => ahead)) - mono / 1e9;
      if (age > -1) return Math.max(0, age); // below: the event is of an earlier boot
    }
    const wall = Date.parse(time);
    if (this.#wallMs === null || Number.isNaN(wall)) return null;
    return Math.max(0, (at * 1000 + this.#wallMs - wall) / 1000);
  }

  /** The appliance's wall clock, in ms, at a moment of our monotonic clock; null before a beat. */
  wall(at = now()) {
    return this.#wallMs === null ? null : at * 1000 + this.#wallMs;
  }

  /** The moment of our monotonic clock at which the appliance's wall clock showed `wallMs`. */
  moment(wallMs) {
    return this.#wallMs === null ? null : (wallMs - this.#wallMs) / 1000;
  }
}
