// The overview: one tile for each channel, in the groups the appliance gives them.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { board, fit, measure } from "./fit.js";
import { appliance, channels, second } from "./store.js";
import { Mark } from "./marks.js";
import { channelPath } from "./router.js";
import { Empty, Heading } from "./pages.js";

const WIDTH = 120; // of a sparkline's own grid: one bucket of the trace a unit
const HEIGHT = 48;
const SIZES = ["", "is-long", "is-longest"];

/** The page at `/`. */
export function Overview() {
  if (!channels.value.length) return html`<${NoChannels} />`;
  return html`<${Heading} hidden>Overview of ${appliance.value.name || "the appliance"}<//>
    <${Board} groups=${grouped(channels.value)} />`;
}

/** Groups beside and below each other on one grid of columns, so that tiles align across groups. */
function Board({ groups }) {
  const node = useRef(null);
  const { columns } = board.value;
  useLayoutEffect(() => measure(node.current), []);
  const grid = { gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` };
  return html`<div class="board" ref=${node} style=${grid}>
    ${groups.map(
      ([name, members], i) => html`<section
        class="group" key=${name} aria-labelledby="group-${i}"
        style=${{ gridColumn: `span ${Math.min(members.length, columns)}` }}
      >
        <h2 id="group-${i}">${name}</h2>
        <ul class="tiles">
          ${members.map((each) => html`<li key=${each.key}><${Tile} channel=${each} /></li>`)}
        </ul>
      </section>`,
    )}
  </div>`;
}

function grouped(all) {
  const groups = new Map();
  for (const each of all) groups.set(each.group, [...(groups.get(each.group) ?? []), each]);
  return [...groups];
}

function NoChannels() {
  return html`<${Heading}>No channels yet<//>
    <${Empty}>
      <p>This appliance reads nothing so far. Describe a device in its configuration:</p>
      <pre>${'[device.air]\ndriver = "bme280"\nbus = "i2c1"\naddress = 0x76\nevery = "1 s"'}</pre>
      <p>
        <code>leyden check</code> says whether the file is right;${" "}
        <a href="/devices">Devices</a> shows what answers.
      </p>
    <//>`;
}

/** One channel: label and mark, value and unit, ten minutes, and the reason when it is not good. */
export function Tile({ channel }) {
  const view = channel.view.value;
  const [name, ...owners] = channel.label.split(" · ").reverse();
  return html`<a class="tile is-${view.mark}" href=${channelPath(channel.key)}>
    <span class="tile-label" title=${channel.label}>
      <span class="tile-names">
        ${owners.length > 0 && html`<span>${owners.reverse().join(" · ")} · </span>`}
        <span class="tile-name">${name}</span>
      </span>
      <${Mark} of=${view.mark} />
    </span>
    <${Value} view=${view} size=${fit(view.widest, view.unit, board.value.width)} />
    <${Sparkline} channel=${channel} mark=${view.mark} />
    <span class="tile-reason" title=${view.words || null}>${view.words}</span>
  </a>`;
}

/** A value with its unit on one baseline; struck through when it no longer holds. */
export function Value({ view, size = 0 }) {
  // One element for both, so that a value that falls and recovers stays where it is.
  const [struck, role] = view.struck ? ["is-struck", "deletion"] : ["", null];
  return html`<span class="value ${SIZES[size]}">
    <span class="number ${struck}" role=${role}>${view.text}</span>
    ${view.unit && html`<span class="unit">${view.unit}</span>`}
  </span>`;
}

/** Ten minutes in the normal band, gaps as gaps. */
function Sparkline({ channel, mark }) {
  const [shape, setShape] = useState(null);
  const drawn = useRef(-1);
  useEffect(() => {
    const draw = () => {
      if (document.hidden) return;
      drawn.current = second.peek();
      setShape(channel.trace.draw({ ...options(channel), at: performance.now() / 1000 }));
    };
    draw();
    // Once a second is as often as an eye can use, however many values come.
    return second.subscribe((now) => now !== drawn.current && draw());
  }, [channel]);
  return html`<span class="sparkline" aria-hidden="true">
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none">
      ${shape?.band && html`<${Band} y=${shape.band[0]} height=${shape.band[1]} />`}
      <path class="line" d=${shape?.line || "M0 0"} />
    </svg>
    ${shape?.hatches.map(
      ([left, width, kind]) =>
        html`<i
          class="hatch is-${hatchOf(kind, mark)}"
          style=${{ left: share(left), width: share(width) }}
        ></i>`,
    )}
  </span>`;
}

const Band = ({ y, height }) =>
  html`<rect class="band" x="0" width=${WIDTH} y=${y} height=${height} />`;

const share = (part) => `${(100 * part).toFixed(2)}%`;

/** A silence is as bad as the value now is; what was recorded stays what it was. */
const hatchOf = (kind, mark) =>
  kind === "bad" || (kind === "silent" && mark === "bad") ? "bad" : "uncertain";

function options({ route, view }) {
  const { period_s: periodS, normal, step, kind } = route;
  const stepped = kind === "bool" || !periodS;
  const silent = view.peek().mark !== "good";
  return { width: WIDTH, height: HEIGHT, periodS, normal, step, stepped, silent };
}
