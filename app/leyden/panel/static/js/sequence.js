// Order: which events of a frame are new, and whether something before it is missing.

/** Follows sequence numbers through connections that break; nothing twice, nothing skipped. */
export class Sequence {
  #refused = null; // the hole that was asked for again already

  /** @param {number|null} last highest number taken so far; null: begin with whatever comes. */
  constructor(last = null) {
    this.last = last;
  }

  /**
   * Takes a frame `{first, last, events, gaps}`.
   *
   * Returns `{events, gaps, hole}`: the events not seen before in order, the ranges that are lost
   * for good, and `hole: true` when the numbers just before the frame never came and nothing
   * explains why. Then nothing is taken and the caller asks again from `this.last`. A hole that is
   * still there in the answer is a loss, and said to be one.
   */
  take(frame) {
    const gaps = (frame.gaps ?? []).filter((gap) => this.last === null || gap.last > this.last);
    const reached = this.#reach(gaps);
    if (this.last !== null && frame.first > reached + 1) {
      const hole = `${reached}-${frame.first}`;
      if (this.#refused !== hole) {
        this.#refused = hole;
        return { events: [], gaps: [], hole: true };
      }
      gaps.push({ first: reached + 1, last: frame.first - 1, reason: "never arrived" });
    }
    this.#refused = null;
    return { events: this.#fresh(frame), gaps, hole: false };
  }

  /** The highest number that is either taken or explained by a gap. */
  #reach(gaps) {
    let reached = this.last ?? 0;
    for (const gap of [...gaps].sort((a, b) => a.first - b.first)) {
      if (gap.first <= reached + 1) reached = Math.max(reached, gap.last);
    }
    return reached;
  }

  #fresh(frame) {
    const fresh = [];
    for (const event of frame.events) {
      if (this.last !== null && event.n <= this.last) continue;
      this.last = event.n;
      fresh.push(event);
    }
    this.last = Math.max(this.last ?? 0, frame.last);
    return fresh;
  }
}
