// The frame round every page: name, ways, the state of all channels and of the connection.

import { html, useState } from "./html.js";
import { leave } from "./api.js";
import { duration, exact, moment, number, timeOfDay } from "./format.js";
import { now } from "./clock.js";
import { Capacitor, Mark } from "./marks.js";
import { page } from "./router.js";
import {
  acknowledge,
  appliance,
  channels,
  clock,
  contact,
  head,
  notice,
  notices,
  phase,
  second,
} from "./store.js";
import { CLOCKS, health, sentence } from "./words.js";

const WAYS = [
  ["/", "Overview", "overview"],
  ["/devices", "Devices", "devices"],
  ["/events", "Events", "events"],
  ["/system", "System", "system"],
];

/** The first line: the mark, the appliance's name, the ways. */
export function Header() {
  return html`<header class="header">
    <a class="brand" href="/"><${Capacitor} /><span>leyden</span></a>
    <span class="appliance">${appliance.value.name}</span>
    <nav aria-label="Pages">
      ${WAYS.map(
        ([href, label, name]) =>
          html`<a href=${href} aria-current=${page.value.name === name ? "page" : null}>
            ${label}
          </a>`,
      )}
    </nav>
  </header>`;
}

/** The second line: one sentence about what is shown, and whether it is current. */
export function Status() {
  if (phase.value !== "ready") return html`<${Line}><p role="status">Connecting</p><//>`;
  const { state, heardAt } = contact.value;
  if (state !== "live" && state !== "connecting")
    return html`<${Lost} state=${state} heardAt=${heardAt} />`;
  const worst = worstMark();
  const sentence = channels.value.length ? health(channels.value) : "No channels";
  return html`<${Line} of=${worst}>
    <p role="status">
      ${worst !== "good" && html`<${Mark} of=${worst} />`}
      <span key=${worst}>${sentence}</span>
      <${Wrong} />
    </p>
    <${ClockState} />
    <${Now} live=${state === "live"} />
  <//>`;
}

const MARKS = { error: "bad", warning: "uncertain" };

/** Sentences that stand on every page until their cause is gone or somebody has taken note. */
export function Banner() {
  if (!notices.value.length) return null;
  return html`<section class="banner" aria-label="Notices">
    <ul>
      ${notices.value.map((each) => html`<${Sentence} key=${each.id} ...${each} />`)}
    </ul>
  </section>`;
}

function Sentence({ id, level, text, lasting }) {
  const [failure, setFailure] = useState("");
  const note = () => acknowledge(id).catch(({ message }) => setFailure(message));
  return html`<li class="is-${MARKS[level] ?? "good"}">
    <p role="status">
      ${MARKS[level] && html`<${Mark} of=${MARKS[level]} />`}
      <span>
        ${sentence(text)} ${page.value.name !== "system" && html`<a href="/system">System</a>`}
        ${failure && html` <strong>${sentence(failure)}.</strong>`}
      </span>
    </p>
    ${!lasting && appliance.value.role !== "viewer" && html`<button onClick=${note}>Noted</button>`}
  </li>`;
}

const Line = ({ of = "good", children }) =>
  html`<section class="status is-${of}" aria-label="State">${children}</section>`;

function worstMark() {
  const marks = channels.value.map(({ view }) => view.value.mark);
  return ["bad", "stale", "uncertain"].find((mark) => marks.includes(mark)) ?? "good";
}

/** The channels that are not good, worst first. */
function Wrong() {
  const wrong = channels.value.filter(({ view }) => view.value.mark !== "good");
  const worst = (a, b) => (b.view.value.mark === "bad") - (a.view.value.mark === "bad");
  return (
    wrong.length > 0 &&
    html`<span class="wrong">${wrong
      .sort(worst)
      .map(({ label }) => label)
      .join(", ")}</span>`
  );
}

/** The appliance's time of day; its room is kept until that is known. */
function Now({ live }) {
  const wall = second.value !== null && clock.wall();
  if (!live || !wall) return html`<p class="contact is-hidden">live <time>00:00:00</time></p>`;
  return html`<p class="contact">live <time title=${exact(wall)}>${timeOfDay(wall)}</time></p>`;
}

/** Said for a while after contact came back: what was caught up. */
export function Notice() {
  return html`<p class="notice" role="status">${notice}</p>`;
}

function ClockState() {
  const code = appliance.value.clockState;
  if (!code) return null;
  const good = code === "synced";
  return html`<p class="clock-state ${good ? "" : "is-uncertain"}">
    ${!good && html`<${Mark} of="uncertain" />`}
    <span>clock <span class="clock-words">${CLOCKS[code] ?? code}</span></span>
  </p>`;
}

const LOST = {
  silent: "No contact with the panel",
  cut_off: "The panel has no contact with the runtime",
  full: "The panel is full",
};

/** Instead of the second line while nothing arrives: since when, and what that means. */
function Lost({ state, heardAt }) {
  const wall = heardAt !== null && clock.wall(heardAt);
  const since = wall ? ` since ${moment(wall, clock.wall())}` : "";
  return html`<${Line} of="cut">
    <p role="status">
      <${Mark} of="bad" /><span>${LOST[state] ?? LOST.silent}${since}.</span>
      <span class="wrong">Values are the last that arrived.</span>
    </p>
    <p class="contact" title=${wall ? exact(wall) : ""}><${Away} heardAt=${heardAt} /></p>
  <//>`;
}

function Away({ heardAt }) {
  if (second.value === null || heardAt === null) return null;
  return html`${duration(Math.max(0, now() - heardAt))}`;
}

/** The last line: where these numbers come from. */
export function Footer() {
  const { version, boot, role } = appliance.value;
  const ready = phase.value === "ready";
  if (phase.value === "loading") return null; // it would be pushed down by what is yet to come
  return html`<footer class="footer">
    <p>
      ${version && html`<span>leyden ${version}</span>`}
      ${boot !== null && html`<span>boot ${boot}</span>`}
      ${ready && html`<span>event ${number(head.value)}</span>`}
      ${role && html`<span>${role}</span>`}
    </p>
    <form method="post" action="/sign-out" onSubmit=${leave}><button>Sign out</button></form>
  </footer>`;
}
