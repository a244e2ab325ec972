// The devices page: what is attached, how it does, and the buses it hangs on.

import { html } from "./html.js";
import { duration, number, period } from "./format.js";
import { Mark } from "./marks.js";
import { Empty, Failure, Heading, Waiting } from "./pages.js";
import { usePolled } from "./polled.js";
import { channelPath } from "./router.js";
import { channel, isConnected } from "./store.js";
import { reason, state as stateWord } from "./words.js";

const EVERY_MS = 2_000;
const STATE_MARKS = {
  absent: "bad",
  starting: "uncertain",
  online: "good",
  degraded: "uncertain",
  offline: "bad",
  failed: "bad",
};
const BUS_MARKS = { ok: "good", hung: "bad", stuck: "bad", closed: "bad" };

/** The page at `/devices`. */
export function Devices() {
  const { answer, failure } = usePolled("devices", EVERY_MS);
  if (answer) return html`<${Heading}>Devices<//><${List} ...${answer} failure=${failure} />`;
  if (!failure) return html`<${Heading}>Devices<//><${Waiting}>Reading the devices…<//>`;
  return html`<${Heading}>Devices<//>
    <${Failure} title="The devices could not be read: ${failure}.">
      This page tries again every two seconds.
    <//>`;
}

function List({ devices, buses, failure }) {
  return html`
    ${failure && html`<p class="message" role="alert">These are the last figures: ${failure}.</p>`}
    ${!devices.length && html`<${NoDevices} />`}
    <ul class="devices">
      ${devices.map((each) => html`<${Device} key=${each.id} device=${each} />`)}
    </ul>
    ${
      buses.length > 0 &&
      html`<section class="buses" aria-labelledby="buses">
        <h2 id="buses">Buses</h2>
        <ul class="devices">
          ${buses.map((each) => html`<${Bus} key=${each.name} bus=${each} />`)}
        </ul>
      </section>`
    }
  `;
}

function NoDevices() {
  return html`<${Empty}>
    <p>
      No device is configured. <code>leyden probe</code> lists what answers on the buses; each
      device gets a table <code>[device.name]</code> in the configuration.
    </p>
  <//>`;
}

function Device({ device }) {
  const mark = isConnected() ? (STATE_MARKS[device.state] ?? "uncertain") : "stale";
  const since = known(device.since_s) ? ` for ${duration(device.since_s)}` : "";
  return html`<li class="device is-${mark}">
    <div class="device-name">
      <h2>${device.label || device.id}</h2>
      <p class="device-state"><${Mark} of=${mark} /> ${now(stateWord(device.state))}${since}</p>
      <p class="soft" title=${device.compatible || null}>${device.driver}${place(device)}</p>
    </div>
    <div class="device-facts">
      <p class="device-error">
        ${device.error ? html`<${Mark} of=${mark} /> ${lastError(device)}` : "No error so far"}
      </p>
      <${Facts} device=${device} />
      <${Channels} keys=${device.channels} />
    </div>
  </li>`;
}

function Facts({ device }) {
  return html`<dl class="facts-list">
    <${Fact} term="Witness" wide>${witness(device.witness)}<//>
    <${Fact} term="Period">${known(device.period_s) && period(device.period_s)}<//>
    <${Fact} term="Lateness p99">${milliseconds(device.lateness_p99_ms)}<//>
    <${Fact} term="Reads">${counted(device.reads)}<//>
    <${Fact} term="Errors">${counted(device.errors)}<//>
    <${Fact} term="Retries">${counted(device.retries)}<//>
    <${Fact} term="Overruns">${counted(device.overruns)}<//>
    <${Fact} term="Resets seen">${counted(device.resets)}<//>
  </dl>`;
}

function Channels({ keys }) {
  const watched = keys.map(channel).filter(Boolean);
  if (!watched.length) return null;
  return html`<ul class="device-channels" aria-label="Channels">
    ${watched.map(
      (each) => html`<li key=${each.key}>
        <a href=${channelPath(each.key)}>
          ${shortLabel(each)}<${Mark} of=${each.view.value.mark} />
        </a>
      </li>`,
    )}
  </ul>`;
}

const shortLabel = ({ label }) => label.split(" · ").slice(1).join(" · ") || label;

function Bus({ bus }) {
  const mark = isConnected() ? (BUS_MARKS[bus.state] ?? "uncertain") : "stale";
  const suspect = bus.suspect ? `; suspect ${bus.suspect}` : "";
  return html`<li class="device is-${mark}">
    <div class="device-name">
      <h3>${bus.name}</h3>
      <p class="device-state"><${Mark} of=${mark} /> ${now(stateWord(bus.state))}${suspect}</p>
      <p class="soft">${[bus.kind, bus.path].filter(Boolean).join(", ")}</p>
    </div>
    <div class="device-facts bus-facts">
      <${Load} share=${bus.load} name=${bus.name} />
      <dl class="facts-list">
        <${Fact} term="Transfers">${counted(bus.transfers)}<//>
        <${Fact} term="Errors">${counted(bus.errors)}<//>
      </dl>
    </div>
  </li>`;
}

/** Share of the time that the wires are in use. */
function Load({ share, name }) {
  if (!known(share)) return null;
  const percent = Math.min(100, 100 * share);
  const text = `${number(percent, percent < 10 ? 1 : 0)} %`;
  return html`<div class="load">
    <span class="load-term">Load</span>
    <meter class="for-readers" min="0" max="100" value=${percent} aria-label="Load of ${name}">
      ${text}
    </meter>
    <svg class="load-bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect class="load-room" width="100" height="8" />
      <rect class="load-used" width=${percent} height="8" />
    </svg>
    <span class="load-share">${text}</span>
  </div>`;
}

function Fact({ term, wide = false, children }) {
  return html`<div class=${wide ? "is-wide" : ""}>
    <dt>${term}</dt>
    <dd>${children || "–"}</dd>
  </div>`;
}

/** A state, or what it was when something was heard last. */
const now = (state) => (isConnected() ? state : `was ${state}`);

const known = (value) => value !== null && value !== undefined;
const counted = (value) => known(value) && number(value);
const milliseconds = (ms) => known(ms) && `${number(ms, ms < 10 ? 1 : 0)} ms`;

function place({ bus, address }) {
  return bus ? ` on ${bus}${address ? ` at ${address}` : ""}` : "";
}

function lastError({ error, state }) {
  const text = `${error.detail || reason(error.reason)} (${duration(error.age_s)} ago)`;
  return state === "online" ? `Last error: ${text}` : text;
}

function witness(told) {
  if (!told) return "";
  const age = known(told.age_s) ? `, ${duration(told.age_s)} ago` : "";
  return told.result ? `${told.what}: ${told.result}${age}` : told.what;
}
