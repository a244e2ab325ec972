// What happened: rows of events, gaps among them, and the short history of one channel.

import { html, useEffect, useState } from "./html.js";
import { readEvents } from "./api.js";
import { count, duration, exact, moment, write } from "./format.js";
import { Mark } from "./marks.js";
import { channelPath } from "./router.js";
import { channel, clock, head, onEvents } from "./store.js";
import { reason, says } from "./words.js";

const BACK = 5_000; // sequence numbers that a channel's short history looks back
const RUNS = 12; // rows of it

/** First words of routes that tell of the system, and not of a channel. */
export const SYSTEM = [
  "runtime",
  "device",
  "service",
  "process",
  "event",
  "alarm",
  "output",
  "intent",
  "clock",
  "log",
  "link",
];

export const isSystem = ({ route }) => SYSTEM.includes(route.split(/[.;]/, 1)[0]);

/** When something happened, exact on hover and focus. */
export function When({ ms }) {
  return html`<time title=${exact(ms)}>${moment(ms, clock.wall() ?? ms)}</time>`;
}

/** One event in a list. */
export function EventRow({ event }) {
  const { n, route, time, quality = "good" } = event;
  return html`<li class="event ${quality === "good" ? "" : `is-${quality}`}">
    <span class="event-time"><${When} ms=${Date.parse(time)} /></span>
    <span class="event-route">
      ${channel(route) ? html`<a href=${channelPath(route)}>${route}</a>` : route}
    </span>
    <span class="event-says">
      ${quality !== "good" && html`<${Mark} of=${quality} />`} ${sentence(event)}
    </span>
    <span class="event-n">${n}</span>
  </li>`;
}

/** Numbers that are missing here, as a row of their own: lost, or not sent to a browser behind. */
export function GapRow({ gap }) {
  if (gap.spared) return html`<${SparedRow} gap=${gap} />`;
  const many = gap.last - gap.first + 1;
  return html`<li class="event is-gap">
    <span class="event-time"></span>
    <span class="event-route">${count(many, "event")} missing</span>
    <span class="event-says"><${Mark} of="bad" /> ${reason(gap.reason)}</span>
    <span class="event-n">${gap.first}–${gap.last}</span>
  </li>`;
}

function SparedRow({ gap }) {
  return html`<li class="event is-spared">
    <span class="event-time"></span>
    <span class="event-route">${count(gap.spared, "reading")} passed over</span>
    <span class="event-says">this browser was behind; the log has them</span>
    <span class="event-n">${gap.first}–${gap.last}</span>
  </li>`;
}

function sentence(event) {
  const known = channel(event.route);
  if (!known) return says(event);
  const { value = null, reason: code, detail } = event;
  const unit = known.form.unit ? ` ${known.form.unit}` : "";
  const text = value === null ? "" : `${write(value, known.form)}${unit}`;
  return [text, code && reason(code), detail].filter(Boolean).join(" · ") || "no value";
}

/** The last turns of one channel: each run of one quality as a row, and what its device did. */
export function History({ route }) {
  const [rows, setRows] = useState(null);
  useEffect(() => {
    const runs = new Runs(route);
    const show = () => setRows([...runs.rows]);
    const abort = new AbortController();
    const to = head.peek();
    const stop = onEvents((events, gaps) => {
      gaps.forEach((gap) => runs.gap(gap));
      if (events.filter((event) => runs.take(event)).length || gaps.length) show();
    });
    readEvents(Math.max(0, to - BACK), to, runs.prefixes, abort.signal).then(
      ({ events }) => {
        runs.before(events);
        show();
      },
      (error) => error.name !== "AbortError" && show(),
    );
    return () => {
      stop();
      abort.abort();
    };
  }, [route.route]);
  return html`<section class="history" aria-labelledby="history">
    <h2 id="history">What happened last</h2>
    ${rows?.length === 0 && html`<p class="message">Nothing has happened on this channel yet.</p>`}
    <ol class="runs">
      ${[...(rows ?? [])].reverse().map((row) => html`<${Run} key=${row.key} row=${row} />`)}
    </ol>
  </section>`;
}

function Run({ row }) {
  const span = `${count(row.count, "reading")} in ${duration((row.to - row.from) / 1000)}`;
  return html`<li class="run ${row.quality === "good" || !row.quality ? "" : `is-${row.quality}`}">
    <span class="event-time"><${When} ms=${row.from} /></span>
    <span class="run-says">${row.quality && html`<${Mark} of=${row.quality} />`} ${row.words}</span>
    <span class="run-span">${row.count > 1 ? span : ""}</span>
  </li>`;
}

/** Folds a channel's events into runs of equal quality and reason, oldest first. */
export class Runs {
  rows = [];
  #route;

  constructor(route) {
    this.#route = route;
    this.prefixes = route.device ? [route.route, `device.${route.device}`] : [route.route];
  }

  /** Takes what happened before the first event that was taken. */
  before(events) {
    const later = this.rows;
    const first = later[0]?.n ?? Infinity;
    this.rows = [];
    for (const event of events) if (event.n < first) this.take(event);
    for (const row of later) this.#push(row);
  }

  /** Takes the next event; says whether it belongs here. */
  take(event) {
    const own = event.route === this.#route.route;
    if (!own && !event.route.startsWith(`device.${this.#route.device}.`)) return false;
    const { n, time, quality = "good", reason: code = "", detail = "" } = event;
    const at = Date.parse(time);
    const row = { key: n, n, from: at, to: at, count: 1, quality: own ? quality : "", code };
    const told = own
      ? [code ? reason(code) : quality, detail].filter(Boolean).join(" · ")
      : [event.route.split(".").slice(2).join(" ").replaceAll("_", " "), says(event)]
          .filter(Boolean)
          .join(" · ");
    this.#push({ ...row, words: told, folds: own });
    return true;
  }

  /** Notes numbers that are missing. */
  gap({ first, last, reason: code }) {
    const at = clock.wall() ?? 0;
    const words = `${count(last - first + 1, "event")} missing${code ? `: ${reason(code)}` : ""}`;
    this.#push({
      key: `gap-${first}`,
      n: last,
      from: at,
      to: at,
      count: 1,
      quality: "bad",
      words,
      folds: false,
    });
  }

  #push(row) {
    const newest = this.rows.at(-1);
    const same =
      newest?.folds && row.folds && newest.quality === row.quality && newest.code === row.code;
    if (same)
      this.rows[this.rows.length - 1] = {
        ...newest,
        to: row.to,
        words: row.words,
        count: newest.count + row.count,
      };
    else this.rows.push(row);
    if (this.rows.length > RUNS) this.rows.shift();
  }
}
