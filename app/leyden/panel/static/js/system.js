// The system page: which release runs from which slot, what became of every update, and trust.

import { html } from "./html.js";
import { exact, moment } from "./format.js";
import { Mark } from "./marks.js";
import { Empty, Failure, Heading, Waiting } from "./pages.js";
import { usePolled } from "./polled.js";
import { appliance, clock } from "./store.js";
import { CLOCKS, sentence } from "./words.js";

const EVERY_MS = 5_000;

/** The page at `/system`. */
export function System() {
  const { answer, failure } = usePolled("system", EVERY_MS);
  if (answer) return html`<${Heading}>System<//><${Parts} ...${answer} failure=${failure} />`;
  if (!failure) return html`<${Heading}>System<//><${Waiting}>Reading the system…<//>`;
  return html`<${Heading}>System<//>
    <${Failure} title="The system could not be read: ${failure}.">
      This page tries again every few seconds.
    <//>`;
}

function Parts({ failure, ...system }) {
  const { available, detail, slots, history, notes } = system;
  return html`
    ${failure && html`<p class="message" role="alert">This is what was read last: ${failure}.</p>`}
    ${!available && html`<${NoCard} detail=${detail} />`}
    <${Release} ...${system} />
    <${Configuration} problem=${system.configuration} />
    ${available && html`<${Slots} slots=${slots} committed=${system.committed} detail=${detail} />`}
    ${available && html`<${History} rows=${history} />`}
    ${available && html`<${Notes} notes=${notes} />`}
    <${Trust} ...${system} />
  `;
}

const NoCard = ({ detail }) =>
  html`<${Empty}>
    <p>
      There are no slots and no updates here${detail ? `: ${detail}` : ""}. A machine that was
      started from a Leyden card shows them on this page.
    </p>
  <//>`;

function Part({ id, title, children }) {
  return html`<section class="part" aria-labelledby=${id}>
    <h2 id=${id}>${title}</h2>
    ${children}
  </section>`;
}

function Fact({ term, wide = false, title, children }) {
  return html`<div class=${wide ? "is-wide" : ""}>
    <dt>${term}</dt>
    <dd title=${title}>${children || "–"}</dd>
  </div>`;
}

function Release({ release, board, clock: told }) {
  const { version, boot } = appliance.value;
  const state = told?.state ?? appliance.value.clockState;
  return html`<${Part} id="release" title="Release">
    <dl class="facts-list">
      <${Fact} term="Version">${release?.version ?? version}<//>
      ${
        release &&
        html`<${Fact} term="Commit" title=${release.commit}>${short(release.commit)}<//>`
      }
      ${release?.epoch > 0 && html`<${Fact} term="Made">${day(release.epoch * 1000)}<//>`}
      <${Fact} term="Boot">${boot}<//>
      ${board && html`<${Fact} term="Board" wide>${board}<//>`}
      <${Fact} term="Clock" wide>
        ${state !== "synced" && html`<${Mark} of="uncertain" /> `}
        ${[CLOCKS[state] ?? state, told?.detail].filter(Boolean).join(" · ")}
      <//>
    </dl>
  <//>`;
}

const INSTEAD = {
  "last-good": "runs on the one before",
  default: "runs on the one it came with",
  nothing: "runs without any device",
};

function Configuration({ problem }) {
  if (!problem) return null;
  return html`<${Part} id="configuration" title="Configuration">
    <p class="device-error is-bad">
      <${Mark} of="bad" /> Cannot be used; the appliance ${INSTEAD[problem.state] ?? problem.state}
    </p>
    <ul class="problems">
      ${problem.problems.map((each) => html`<li><code>${each}</code></li>`)}
    </ul>
  <//>`;
}

const STATES = {
  running: "running",
  good: "good, takes over if the other one fails",
  bad: "given up",
  empty: "empty",
  staged: "waits for the next start",
  trying: "on trial",
};
const STATE_MARKS = { bad: "uncertain" };

function Slots({ slots, committed, detail }) {
  return html`<${Part} id="slots" title="Slots">
    ${!slots.length && html`<p class="soft">${sentence(detail || "nothing is known of them")}.</p>`}
    <ul class="devices">
      ${slots.map((each) => html`<${Slot} key=${each.name} slot=${each} committed=${committed} />`)}
    </ul>
  <//>`;
}

function Slot({ slot, committed }) {
  const { name, version, boot, tries_left: tries, detail } = slot;
  const mark = STATE_MARKS[slot.state] ?? "good";
  return html`<li class="device is-${mark}">
    <div class="device-name">
      <h3>Slot ${name}</h3>
      <p class="device-state"><${Mark} of=${mark} /> ${STATES[slot.state] ?? slot.state}</p>
    </div>
    <div class="device-facts">
      <dl class="facts-list">
        <${Fact} term="Version">${version}<//>
        <${Fact} term="Committed">${name === committed ? "yes" : "no"}<//>
        <${Fact} term="Starts next">${boot ? "yes" : "no"}<//>
        <${Fact} term="Starts left">${slot.state === "empty" ? "" : `${tries}`}<//>
      </dl>
      ${detail && html`<p class="device-error">${sentence(detail)}</p>`}
    </div>
  </li>`;
}

const DONE = {
  installed: () => "installed",
  trying: () => "started for the first time",
  healthy: () => "was healthy once",
  committed: (before) => `committed${before && `, after ${before}`}`,
  "rolled-back": (before) => `given up${before && `, back to ${before}`}`,
  refused: () => "refused",
  failed: () => "not installed",
  recovered: () => "recovered",
};
const DONE_MARKS = { "rolled-back": "uncertain", failed: "uncertain", recovered: "uncertain" };

function History({ rows }) {
  return html`<${Part} id="updates" title="Updates">
    ${!rows.length && html`<p class="soft">No update so far.</p>`}
    <ol class="updates" hidden=${!rows.length}>
      ${rows.map((row, i) => html`<${Update} key=${rows.length - i} ...${row} />`)}
    </ol>
  <//>`;
}

function Update({ time, what, slot, version, from_version: before, reason, detail }) {
  const mark = DONE_MARKS[what] ?? "good";
  const at = Date.parse(time ?? "");
  return html`<li class="update is-${mark}">
    <time datetime=${time} title=${exact(at)}>${when(at)}</time>
    <div>
      <p class="update-says">
        <${Mark} of=${mark} /> ${version || "An update"} ${DONE[what]?.(before) ?? what}
      </p>
      ${reason && html`<p>${sentence(reason)}</p>`}
      ${detail && detail !== reason && html`<p class="soft">${sentence(detail)}</p>`}
    </div>
    <span>${slot && `slot ${slot}`}</span>
  </li>`;
}

const NOTE_MARKS = { warning: "uncertain", error: "bad" };

function Notes({ notes }) {
  return html`<${Part} id="notes" title="This start">
    ${!notes.length && html`<p class="soft">Nothing out of the ordinary.</p>`}
    <ul class="problems">
      ${notes.map(({ level, what, text }) => {
        const mark = NOTE_MARKS[level] ?? "good";
        return html`<li class="is-${mark}" title=${what}>
          <${Mark} of=${mark} /> ${sentence(text)}
        </li>`;
      })}
    </ul>
  <//>`;
}

/** The connection, the authority to trust, and the password. */
function Trust({ certificate, panel }) {
  const authority = certificate?.fingerprint ?? panel?.authority;
  const encrypted = panel?.encrypted ? "encrypted" : "not encrypted";
  const admin = appliance.value.role === "admin" && panel?.password;
  return html`<${Part} id="trust" title="Access">
    <dl class="facts-list">
      <${Fact} term="This connection" wide>
        ${[encrypted, panel?.problem].filter(Boolean).join(": ")}
      <//>
      ${
        certificate?.not_after &&
        html`<${Fact} term="Certificate until" wide>
          <time title=${exact(Date.parse(certificate.not_after))}>
            ${day(Date.parse(certificate.not_after))}
          </time>
        <//>`
      }
      ${
        authority &&
        html`<${Fact} term="Authority, SHA-256" wide>
          <code>${authority.split(":").map((pair, i) => (i ? html`:<wbr />${pair}` : pair))}</code>
        <//>`
      }
    </dl>
    <p class="ways">
      ${panel?.authority && html`<a href="/leyden-ca.crt" download>Download the authority</a>`}
      ${admin && html`<a href="/password">Change the password</a>`}
    </p>
  <//>`;
}

const short = (commit) => commit.slice(0, 10);

const CLOCK_SET = Date.UTC(2020); // a machine without a battery counts from 1970 until it hears

function when(ms) {
  if (!Number.isFinite(ms)) return "–";
  return ms < CLOCK_SET ? "before the clock was set" : moment(ms, clock.wall() ?? Infinity);
}

function day(ms) {
  const parts = { day: "numeric", month: "short", year: "numeric" };
  return Number.isFinite(ms) ? new Date(ms).toLocaleDateString("en-GB", parts) : "";
}
