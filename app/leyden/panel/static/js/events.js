// The events page: the stream as it comes, filtered, followed, and read back as far as it is kept.

import { html, useEffect, useMemo, useReducer, useState } from "./html.js";
import { readEvents } from "./api.js";
import { count } from "./format.js";
import { EventRow, GapRow, isSystem, SYSTEM } from "./happenings.js";
import { Heading } from "./pages.js";
import { head, onEvents } from "./store.js";

const KEPT = 500; // rows that follow mode keeps
const PAGE = 100; // rows that one reading back brings
const SPANS = 8; // times that the stretch read back is doubled before asking the reader again
const FIRST_SPAN = 500; // sequence numbers

/** The page at `/events`. */
export function Events() {
  const [text, setText] = useState("");
  const [readings, setReadings] = useState(false);
  const [heldAt, hold] = useState(0); // newest number shown while not following; 0: following
  const [, redraw] = useReducer((n) => n + 1, 0);
  const log = useMemo(() => new Log(readings), [readings]);

  useEffect(() => {
    const stop = onEvents((events, gaps, frame) => log.take(events, gaps, frame) && redraw());
    log.older(head.peek()).then(redraw, redraw);
    return stop;
  }, [log]);

  const rows = log.rows.filter((row) => matches(row, text));
  const shown = heldAt ? rows.filter((row) => last(row) <= heldAt) : rows;
  const older = () => {
    hold(log.newest);
    log.older().then(redraw, redraw);
  };
  return html`<section class="events">
    <${Heading}>Events<//>
    <form class="filter" role="search" onSubmit=${(submit) => submit.preventDefault()}>
      <${Search} text=${text} setText=${setText} />
      <label class="check">
        <input
          type="checkbox"
          checked=${readings}
          onChange=${(change) => setReadings(change.target.checked)}
        />
        With readings
      </label>
      <button
        type="button"
        aria-pressed=${!heldAt}
        onClick=${() => hold(heldAt ? 0 : Math.max(1, log.newest))}
      >
        Follow
      </button>
      <p class="filter-state" role="status">${listState(heldAt, rows.length - shown.length)}</p>
    </form>
    <ol class="event-list">
      ${shown.map(row)}
    </ol>
    <${End} log=${log} shown=${shown.length} text=${text} older=${older} />
  </section>`;
}

function Search({ text, setText }) {
  return html`<label class="field">
    <span>Route or text</span>
    <input
      type="search"
      value=${text}
      onInput=${(input) => setText(input.target.value)}
      autocomplete="off"
      spellcheck=${false}
    />
  </label>`;
}

function listState(heldAt, waiting) {
  if (!heldAt) return "newest first";
  return waiting > 0 ? count(waiting, "newer event") : "held";
}

function row(each) {
  if (isGap(each)) return html`<${GapRow} key=${`gap-${each.first}`} gap=${each} />`;
  return html`<${EventRow} key=${each.n} event=${each} />`;
}

function End({ log, shown, text, older }) {
  const empty = text ? `No event loaded so far has "${text}" in it.` : "Nothing has happened yet.";
  return html`<div class="list-end">
    ${!shown && !log.busy && html`<p class="message">${empty}</p>`}
    ${log.failure && html`<p class="soft">Older events could not be read: ${log.failure}.</p>`}
    ${log.ended && html`<p class="soft">That is where the log begins.</p>`}
    ${
      !log.ended &&
      html`<button disabled=${log.busy} onClick=${older}>
        ${log.busy ? "Reading…" : "Load older"}
      </button>`
    }
  </div>`;
}

const isGap = (row) => row.first !== undefined;
const last = (row) => row.last ?? row.n;

const told = new WeakMap(); // event -> its words in lower case, for the filter

function matches(row, text) {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!wanted.length) return true;
  if (isGap(row)) return false;
  if (!told.has(row)) {
    const { route, value, quality, reason, detail, source, n } = row;
    told.set(row, JSON.stringify([route, value, quality, reason, detail, source, n]).toLowerCase());
  }
  return wanted.every((word) => told.get(row).includes(word));
}

/** Events and gaps, newest first: what comes is added before, what is read back behind. */
export class Log {
  rows = [];
  busy = false;
  ended = false;
  failure = "";
  #oldest = null; // everything above this number has been read
  #readBack = 0; // rows that reading back brought: they stay

  constructor(readings) {
    this.readings = readings;
  }

  /** Highest number in the list. */
  get newest() {
    return this.rows.length ? last(this.rows[0]) : 0;
  }

  /** Takes what has just arrived; says whether the list changed. */
  take(events, gaps, frame) {
    const fresh = [...gaps, ...events.filter((event) => this.#wants(event))];
    const spared = frame.count - frame.events.length;
    if (spared > 0 && this.readings) fresh.push({ first: frame.first, last: frame.last, spared });
    if (!fresh.length) return false;
    fresh.sort((a, b) => last(b) - last(a));
    this.rows = [...fresh, ...this.rows].slice(0, KEPT + this.#readBack);
    return true;
  }

  /** Reads back until a page is full; a filter may need longer stretches to find as much. */
  async older(from = this.#oldest) {
    if (this.busy || this.ended || from === null) return;
    this.busy = true;
    this.failure = "";
    this.#oldest ??= from;
    try {
      let [found, span] = [0, FIRST_SPAN];
      for (let i = 0; i < SPANS && found < PAGE && !this.ended; i++, span *= 2)
        found += await this.#stretch(span);
    } catch (error) {
      this.failure = error.message;
    } finally {
      this.busy = false;
    }
  }

  async #stretch(span) {
    const [to, after] = [this.#oldest, Math.max(0, this.#oldest - span)];
    const { events, gaps } = await readEvents(after, to, this.readings ? null : SYSTEM);
    const known = new Set(this.rows.map((row) => row.first ?? row.n));
    const fresh = [...events, ...gaps]
      .filter((row) => !known.has(row.first ?? row.n))
      .sort((a, b) => last(b) - last(a));
    this.rows = [...this.rows, ...fresh];
    this.#readBack += fresh.length;
    this.#oldest = after;
    this.ended = after === 0;
    return fresh.length;
  }

  #wants(event) {
    return this.readings || isSystem(event);
  }
}
