// The live connection: frames in order, beats, and the moment when nothing is heard any more.

import { io } from "../vendor/socket.io.js";
import { now } from "./clock.js";
import { Sequence } from "./sequence.js";

/** Seconds without a beat, or without news of the runtime, after which nothing shown is current. */
export const SILENCE_S = 2;

/**
 * Follows the stream of events over Socket.IO.
 *
 * Calls back `onEvents(events, gaps, frame)` with what is new, in order; `onBeat(beat)`;
 * `onReset()` when the numbers are of another stream than ours; and `onContact({state, heardAt})`
 * when contact is made or lost. `state` is `connecting`, `live`,
 * `silent` (no beat), `cut_off` (the panel beats but hears nothing from the runtime), `full` or
 * `unauthorised`; `heardAt` is the local moment of the last sign of life.
 */
export class Live {
  #socket = null;
  #timer = 0;
  #state = "connecting";
  #heardAt = null;

  constructor({ onEvents, onBeat, onContact, onReset, after = null }) {
    Object.assign(this, { onEvents, onBeat, onContact, onReset });
    this.sequence = new Sequence(after);
  }

  /** Connects, and stays connected for the life of the page. */
  start() {
    this.#socket = io({
      transports: ["websocket"],
      reconnectionDelay: 250,
      reconnectionDelayMax: 2_000,
      timeout: 5_000,
    });
    this.#socket.on("connect", () => this.#subscribe());
    this.#socket.on("frame", (frame) => this.#frame(frame));
    this.#socket.on("beat", (beat) => this.#beat(beat));
    this.#socket.on("reset", () => this.onReset());
    this.#socket.on("connect_error", (error) => this.#refused(error));
    this.#socket.on("disconnect", (reason) => this.#dropped(reason));
    this.#silenceIn(SILENCE_S);
  }

  #subscribe() {
    this.#socket.emit("sub", { after: this.sequence.last, routes: null });
  }

  #frame(frame) {
    const { events, gaps, hole } = this.sequence.take(frame);
    if (hole) return this.#subscribe();
    this.onEvents(events, gaps, frame);
    this.#socket.emit("ack", { last: this.sequence.last });
  }

  #beat(beat) {
    const silentFor = beat.age_s ?? Infinity; // it has never heard anything
    this.onBeat(beat);
    if (silentFor > SILENCE_S) {
      clearTimeout(this.#timer);
      if (Number.isFinite(silentFor)) this.#heardAt = now() - silentFor;
      return this.#contact("cut_off", this.#heardAt);
    }
    this.#heardAt = now() - silentFor;
    this.#contact("live", this.#heardAt);
    this.#silenceIn(SILENCE_S - silentFor);
  }

  #silenceIn(seconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#state === "live" || this.#state === "connecting") {
        this.#contact("silent", this.#heardAt);
      }
    }, seconds * 1000);
  }

  #refused(error) {
    if (/full/i.test(error.message)) this.#contact("full", this.#heardAt);
    if (/unauthori[sz]ed/i.test(error.message)) this.#contact("unauthorised", this.#heardAt);
    // A refusal by the server ends the library's own attempts; ours go on, slowly.
    if (!this.#socket.active) setTimeout(() => this.#socket.connect(), 5_000);
  }

  #dropped(reason) {
    if (reason === "io server disconnect") setTimeout(() => this.#socket.connect(), 1_000);
  }

  #contact(state, heardAt) {
    if (state === this.#state && state !== "connecting") return;
    this.#state = state;
    this.onContact({ state, heardAt });
  }
}
