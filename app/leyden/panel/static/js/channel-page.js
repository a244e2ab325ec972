// One channel: its value now, its trend, and what happened to it last.

import { html, useEffect, useMemo, useState } from "./html.js";
import { Chart, Table } from "./chart.js";
import { fit } from "./fit.js";
import { period, write } from "./format.js";
import { History } from "./happenings.js";
import { Mark } from "./marks.js";
import { Value } from "./overview.js";
import { Empty, Heading } from "./pages.js";
import { figures, Series } from "./series.js";
import { channel as find, channels, clock, isConnected, onEvents, second } from "./store.js";

const RANGES = [
  [60, "1 min"],
  [600, "10 min"],
  [3_600, "1 h"],
  [21_600, "6 h"],
  [86_400, "24 h"],
];
const SIDES_PX = 48; // of the page, both together
const FRESHEST_S = 5; // a trend is asked for again no more often than this

/** The page at `/channels/<route>`. */
export function ChannelPage({ name }) {
  const channel = channels.value && find(name);
  if (!channel) return html`<${Unknown} name=${name} />`;
  return html`<article class="channel" key=${name}>
    <${Now} channel=${channel} />
    <${Trend} channel=${channel} />
    <${History} route=${channel.route} />
  </article>`;
}

function Unknown({ name }) {
  return html`<${Heading}>No such channel<//>
    <${Empty}>
      <p>This appliance has no channel called <code>${name}</code>.</p>
      <p><a href="/">All channels</a></p>
    <//>`;
}

function Now({ channel }) {
  const view = channel.view.value;
  const { route } = channel;
  return html`<header class="now is-${view.mark}">
    <${Heading}>${channel.label}<//>
    <p class="facts">
      <code>${channel.key}</code>
      ${route.period_s && html`<span>every ${period(route.period_s)}</span>`}
      ${route.device && html`<a href="/devices">${route.device}</a>`}
    </p>
    <${Value} view=${view} size=${fit(view.widest, view.unit, innerWidth - SIDES_PX)} />
    <p class="now-reason"><${Mark} of=${view.mark} /> <span>${view.words}</span></p>
  </header>`;
}

function Trend({ channel }) {
  const [rangeS, setRange] = useState(600);
  const [failure, setFailure] = useState("");
  const series = useMemo(() => new Series(channel.route, rangeS), [channel, rangeS]);
  const [, redraw] = useState(0);
  useEffect(() => follow(series, setFailure, () => redraw((n) => n + 1)), [series]);

  const endMs = second.value === null ? null : clock.wall();
  if (channel.route.kind === "text") return null;
  const points = endMs === null ? [] : series.window(endMs);
  const word = RANGES.find(([s]) => s === rangeS)[1];
  return html`<section class="trend" aria-label="Trend">
    <div class="trend-head">
      <div class="ranges" role="group" aria-label="Range">
        ${RANGES.map(
          ([s, text]) =>
            html`<button aria-pressed=${s === rangeS} onClick=${() => setRange(s)}>
              ${text}
            </button>`,
        )}
      </div>
      <${Figures} points=${points} channel=${channel} />
    </div>
    <${Chart}
      channel=${channel} points=${points} rangeS=${rangeS} reachS=${series.reachS} endMs=${endMs}
      label="Trend of ${channel.label}, last ${word}" grey=${!isConnected()}
    />
    ${
      failure &&
      html`<p class="message" role="alert">
        The past could not be read: ${failure}. What arrives now is drawn.
      </p>`
    }
    <${Table} points=${points} channel=${channel} />
  </section>`;
}

/** Loads the series, adds what arrives, and thins it again now and then; returns how to stop. */
function follow(series, setFailure, redraw) {
  const abort = new AbortController();
  const load = () =>
    series.load(abort.signal).then(
      () => {
        setFailure("");
        redraw();
      },
      (error) => error.name !== "AbortError" && setFailure(error.message),
    );
  load();
  const often = Math.max(FRESHEST_S, series.bucketS) * 1000;
  // Short ranges are kept from the events themselves; long ones are thinned by the history.
  const timer = setInterval(() => (series.bucketS > 1 || series.full) && load(), often);
  const stop = onEvents((events, gaps, frame) => {
    for (const event of events) if (event.route === series.route.route) series.append(event);
    if (gaps.length || frame.count > frame.events.length) load();
  });
  return () => {
    abort.abort();
    clearInterval(timer);
    stop();
  };
}

function Figures({ points, channel }) {
  const found = figures(points);
  const { normal } = channel.route;
  const { form } = channel;
  const whole = (value) => `${write(value, form)}${form.unit && ` ${form.unit}`}`;
  const text = (value) => (found ? whole(value) : "–");
  const range = normal && `${write(normal[0], form)} to ${whole(normal[1])}`;
  if (channel.route.kind === "bool") return null;
  return html`<dl class="figures">
    <div><dt>Lowest</dt><dd>${text(found?.low)}</dd></div>
    <div><dt>Mean</dt><dd>${text(found?.mean)}</dd></div>
    <div><dt>Highest</dt><dd>${text(found?.high)}</dd></div>
    ${normal && html`<div><dt>Normal</dt><dd>${range}</dd></div>`}
  </dl>`;
}
