// The trend of one channel, its quality under it, and a cursor for pointer and keyboard alike.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { exact, moment, timeOfDay, write } from "./format.js";
import { columns, spans } from "./series.js";

const HEIGHT = 320;
const STRIP = 16;
const ROWS = 20; // of the table, at a time
const AXIS_PX = [48, 64]; // on a phone, elsewhere
const PHONE_PX = 560;
const STILL_STEPS = 20; // a value that moves less than this many steps is drawn as still

let uPlot = null;

/** Brings the chart library and its style when the first chart is wanted. */
async function bringLibrary() {
  if (uPlot) return;
  const [module] = await Promise.all([import("../vendor/uplot.js"), style("../vendor/uplot.css")]);
  uPlot = module.default;
}

function style(relative) {
  const link = Object.assign(document.createElement("link"), {
    rel: "stylesheet",
    href: new URL(relative, import.meta.url).href,
  });
  return new Promise((resolve, reject) => {
    link.addEventListener("load", resolve);
    link.addEventListener("error", reject);
    document.head.prepend(link); // the panel's own style comes later and wins
  });
}

/**
 * Draws `points` of `channel` up to `endMs` over `rangeS` seconds; `endMs` is null until the
 * appliance's time is known. A change of `grey` or of the scheme draws everything anew.
 *
 * Arrow keys move the cursor, Home and End go to the ends, Escape leaves; what is under it is
 * written below the chart and announced.
 */
export function Chart({ channel, points, rangeS, reachS, endMs, label, grey }) {
  const box = useRef(null);
  const plot = useRef(null);
  const data = useRef(null);
  const [index, setIndex] = useState(null);
  const [frame, setFrame] = useState(null); // the plot's inner box, px
  const [failed, setFailed] = useState(false);
  const stepped = !channel.route.period_s || channel.route.kind === "bool";

  data.current = columns(points, reachS);
  const known = endMs !== null;
  useEffect(() => {
    if (!known) return undefined;
    let gone = false;
    const node = box.current;
    const size = () => ({ width: node.clientWidth, height: HEIGHT });
    const make = () => {
      const asked = options({ channel, stepped, setIndex, setFrame, ink: colours(node) });
      plot.current = new uPlot({ ...size(), ...asked }, null, node);
      feed(plot.current, data.current, rangeS, endMs);
    };
    const remake = () => {
      plot.current?.destroy();
      make();
    };
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const resize = new ResizeObserver(() => node.isConnected && plot.current?.setSize(size()));
    bringLibrary()
      .then(() => {
        if (gone) return;
        make();
        resize.observe(node);
        scheme.addEventListener("change", remake);
      })
      .catch(() => setFailed(true));
    return () => {
      gone = true;
      resize.disconnect();
      scheme.removeEventListener("change", remake);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [channel, rangeS, known, grey]);

  useLayoutEffect(() => {
    if (plot.current) feed(plot.current, data.current, rangeS, endMs);
  });

  const shown = (index === null ? null : data.current.source[index]) ?? points.at(-1);
  const last = Math.max(0, data.current.x.length - 1);
  const endS = endMs / 1000;
  const strip = spans(points, Math.min(reachS, rangeS), endS, channel.view.value.mark);
  const keys = (press) => move(press, plot.current, data.current, index, setIndex);
  if (failed)
    return html`<p class="message">
      The chart could not be loaded; the table below has the same values.
    </p>`;
  return html`<div class="chart">
    <div
      class="plot"
      ref=${box}
      tabindex="0"
      role="slider"
      aria-label=${label}
      aria-orientation="horizontal"
      aria-valuemin="0"
      aria-valuemax=${last}
      aria-valuenow=${index ?? last}
      aria-valuetext=${reading(shown, channel)}
      onKeyDown=${keys}
      onBlur=${() => leave(plot.current, setIndex)}
    ></div>
    <${Strip} spans=${strip} points=${points} endS=${endS} rangeS=${rangeS} frame=${frame} />
    <p class="readout">${reading(shown, channel)}</p>
  </div>`;
}

/** "20:31:07 · 21.4 °C · good" for one point. */
export function reading(point, channel) {
  if (!point) return "No values in this range";
  const [ms, value, quality, low, high] = point;
  const { form } = channel;
  const unit = form.unit ? ` ${form.unit}` : "";
  if (value === null) return `${timeOfDay(ms)} · no value · ${quality}`;
  const spread =
    low !== null && high !== low ? ` (${write(low, form)} to ${write(high, form)})` : "";
  return `${timeOfDay(ms)} · ${write(channel.plain(value), form)}${unit}${spread} · ${quality}`;
}

/** A line where values are good, hatching where they are not, nothing where there are none. */
function Strip({ spans, points, endS, rangeS, frame }) {
  if (!frame) return html`<div class="strip"></div>`;
  const x = (s) => Math.max(0, ((s - endS + rangeS) / rangeS) * frame.width);
  const place = { marginLeft: `${frame.left}px` };
  const words = qualityWords(points);
  return html`<div class="strip">
    <svg width=${frame.width} height=${STRIP} style=${place} role="img" aria-label=${words}>
      ${spans.map(({ from, to, quality }) => span(x(from), x(to), quality))}
    </svg>
  </div>`;
}

function span(from, to, quality) {
  if (quality === "good") return html`<path class="strip-good" d="M${from} ${STRIP / 2}H${to}" />`;
  const width = Math.max(2, to - from);
  return html`<rect x=${from} width=${width} height=${STRIP} fill="url(#hatch-${quality})" />`;
}

function qualityWords(points) {
  const share = (quality) =>
    points.filter((point) => point[2] === quality).length / (points.length || 1);
  const percent = (quality) => `${Math.round(100 * share(quality))} % ${quality}`;
  return `Quality: ${["good", "uncertain", "bad"].map(percent).join(", ")}`;
}

function feed(plot, { x, mean, low, high }, rangeS, endMs) {
  const end = endMs / 1000;
  plot.batch(() => {
    plot.setData([x, high, low, mean], false);
    plot.setScale("x", { min: end - rangeS, max: end });
  });
}

function move(press, plot, { x, source }, index, setIndex) {
  const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: 20, PageDown: -20 };
  const last = x.length - 1;
  let to = press.key === "Home" ? 0 : press.key === "End" ? last : null;
  if (press.key in steps) to = Math.min(last, Math.max(0, (index ?? last) + steps[press.key]));
  if (press.key === "Escape") return leave(plot, setIndex);
  if (to === null || !plot || last < 0) return undefined;
  press.preventDefault();
  const direction = to < (index ?? last) ? -1 : 1;
  while (source[to] === null && to > 0 && to < last) to += direction; // step over a hole
  plot.setCursor({ left: plot.valToPos(x[to], "x"), top: 0 });
  return setIndex(to);
}

function leave(plot, setIndex) {
  plot?.setCursor({ left: -10, top: -10 });
  setIndex(null);
}

function options({ channel, stepped, setIndex, setFrame, ink }) {
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const axis = {
    stroke: ink("--soft"),
    font,
    grid: { stroke: ink("--rule"), width: 1 },
    ticks: { show: false },
  };
  const line = { stroke: ink("--signal"), width: 1.5, points: { show: false }, spanGaps: false };
  const paths = stepped ? uPlot.paths.stepped({ align: 1 }) : undefined;
  const ratio = () => devicePixelRatio;
  return {
    padding: [8, 24, 0, 0], // the last time of day is centred on the right edge
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 8, width: 2 } },
    scales: { x: { time: true }, y: { range: (_, low, high) => room(low, high, channel.route) } },
    axes: [
      { ...axis, size: 32, values: (_, splits) => splits.map((s) => tick(s, splits)), space: 80 },
      {
        ...axis,
        ...(channel.route.kind === "bool" && { splits: () => [0, 1] }),
        size: AXIS_PX[innerWidth < PHONE_PX ? 0 : 1],
        values: (_, splits) => splits.map((v) => mark(v, channel, splits)),
        space: 40,
      },
    ],
    series: [
      {},
      { ...line, stroke: "transparent", paths },
      { ...line, stroke: "transparent", paths },
      { ...line, paths },
    ],
    bands: [{ series: [1, 2], fill: ink("--spread") }],
    hooks: {
      drawClear: [(plot) => band(plot, channel.route.normal, ink("--normal"))],
      setCursor: [(plot) => setIndex(plot.cursor.idx ?? null)],
      draw: [(plot) => setFrame(inner(plot, ratio()))],
    },
  };
}

/** Keeps the same object while the box keeps its size, so that drawing does not cause drawing. */
function inner({ bbox }, ratio) {
  const next = { left: bbox.left / ratio, width: bbox.width / ratio };
  return (old) => (old && old.left === next.left && old.width === next.width ? old : next);
}

function band(plot, normal, fill) {
  if (!normal) return;
  const [top, bottom] = [plot.valToPos(normal[1], "y", true), plot.valToPos(normal[0], "y", true)];
  const { left, width, top: from, height } = plot.bbox;
  const y = Math.max(from, top);
  plot.ctx.fillStyle = fill;
  plot.ctx.fillRect(left, y, width, Math.max(0, Math.min(from + height, bottom) - y));
}

function room(low, high, { kind, step }) {
  if (low === null || !Number.isFinite(low)) return [0, 1];
  if (kind === "bool") return [-0.1, 1.1];
  const least = STILL_STEPS * (step || 0) || Math.abs(high) / 20 || 1;
  const spare = Math.max((high - low) * 0.1, (least - (high - low)) / 2);
  return [low - spare, high + spare];
}

function tick(s, splits) {
  const text = timeOfDay(s * 1000);
  return splits.length > 1 && splits[1] - splits[0] >= 60 ? text.slice(0, 5) : text;
}

/** An axis needs no more decimals than its steps have. */
function mark(value, { form, route }, splits) {
  if (route.kind === "bool") return value === 0 ? "off" : value === 1 ? "on" : "";
  const step = splits.length > 1 ? Math.abs(splits[1] - splits[0]) * form.scale : 1;
  return write(value, { ...form, decimals: decimalsOf(step) });
}

function decimalsOf(step) {
  for (let places = 0; places < 6; places++) {
    if (Math.abs(step - Number(step.toFixed(places))) < step * 1e-6) return places;
  }
  return 6;
}

/** Colours of the style sheet, as they are inside `node`, in the form a canvas understands. */
function colours(node) {
  const probe = document.createElement("i");
  node.append(probe);
  const found = new Map();
  for (const name of ["--soft", "--rule", "--signal", "--spread", "--normal"]) {
    probe.style.color = `var(${name})`;
    found.set(name, getComputedStyle(probe).color);
  }
  probe.remove();
  return (name) => found.get(name);
}

/** The same points as a table, newest first, a page at a time. */
export function Table({ points, channel }) {
  const [from, setFrom] = useState(0);
  const rows = [...points].reverse().slice(from, from + ROWS);
  const over = from + ROWS >= points.length;
  const { form } = channel;
  const cell = (value) => html`<td>${write(channel.plain(value), form)}</td>`;
  const heads = ["Time", `Value${form.unit && `, ${form.unit}`}`, "Lowest", "Highest", "Quality"];
  return html`<details class="as-table">
    <summary>Table of this trend</summary>
    <table>
      <thead>
        <tr>
          ${heads.map((head) => html`<th scope="col">${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ([ms, value, quality, low, high]) => html`<tr key=${ms}>
            <td><time title=${exact(ms)}>${moment(ms, points.at(-1)[0])}</time></td>
            ${[value, low ?? value, high ?? value].map(cell)}
            <td>${quality}</td>
          </tr>`,
        )}
      </tbody>
    </table>
    <p class="pages">
      <button disabled=${from === 0} onClick=${() => setFrom(from - ROWS)}>Newer</button>
      <button disabled=${over} onClick=${() => setFrom(from + ROWS)}>Older</button>
    </p>
  </details>`;
}
