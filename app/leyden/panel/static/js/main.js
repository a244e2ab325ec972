// The panel: one document that shows an appliance's channels, devices and events as they are now.

import { html, render, useEffect, useState } from "./html.js";
import { Banner, Footer, Header, Notice, Status } from "./frame.js";
import { Hatching } from "./marks.js";
import { Overview } from "./overview.js";
import { Failure, Heading, NotFound, Waiting } from "./pages.js";
import { follow, page } from "./router.js";
import { appliance, channel, channels, contact, phase, start } from "./store.js";

function Panel() {
  const cut =
    phase.value === "ready" &&
    contact.value.state !== "live" &&
    contact.value.state !== "connecting";
  return html`<div class="panel ${cut ? "is-cut" : ""}">
    <${Hatching} />
    <a class="skip" href="#main">Skip to the values</a>
    <${Header} />
    <${Status} />
    <${Banner} />
    <main id="main"><${Page} /></main>
    <${Footer} />
    <${Notice} />
    <${Title} />
  </div>`;
}

function Page() {
  const { name, argument } = page.value;
  if (name === "not-found") return html`<${NotFound} path=${argument} />`;
  if (contact.value.state === "full") return html`<${Full} />`;
  if (phase.value === "loading") return html`<${Waiting}>Reading the channels…<//>`;
  if (phase.value !== "ready") return html`<${Unreachable} error=${phase.value} />`;
  if (name === "overview") return html`<${Overview} />`;
  return html`<${Room} key=${`${name} ${argument}`} page=${name} argument=${argument} />`;
}

// Pages beside the first: brought when they are wanted, or as soon as nothing else is to be done,
// so that they are there when the connection is not.
const ROOMS = {
  channel: () => import("./channel-page.js").then(({ ChannelPage }) => ChannelPage),
  devices: () => import("./devices.js").then(({ Devices }) => Devices),
  events: () => import("./events.js").then(({ Events }) => Events),
  system: () => import("./system.js").then(({ System }) => System),
};
const AHEAD_MS = 3_000;
const brought = {};

async function bring(page) {
  brought[page] ??= await ROOMS[page]();
}

function Room({ page, argument }) {
  const [failed, setFailed] = useState(false);
  const [, redraw] = useState(0);
  useEffect(() => {
    if (!brought[page])
      bring(page).then(
        () => redraw(1),
        () => setFailed(true),
      );
  }, [page]);
  const Page = brought[page];
  if (Page) return html`<${Page} name=${argument} />`;
  if (!failed) return html`<${Waiting}>One moment…<//>`;
  return html`<${Heading}>This page could not be loaded<//>
    <${Failure} title="The panel does not answer.">
      <a href="">Load it again</a> when it does.
    <//>`;
}

/** Brings every page once the first one is there and the browser has nothing better to do. */
async function bringAhead() {
  for (const page of Object.keys(ROOMS)) await bring(page);
}

const idle = window.requestIdleCallback ?? ((action) => setTimeout(action, 0));

function Full() {
  return html`<${Heading}>The panel is full<//>
    <${Failure} title="As many people as it can serve are looking at it already.">
      Nothing is wrong with the appliance. This page tries again by itself every few seconds;
      closing a panel that nobody looks at makes room.
    <//>`;
}

function Unreachable({ error }) {
  return html`<${Heading}>No values to show<//>
    <${Failure} title="The appliance could not be read: ${error.message}.">
      This page tries again every two seconds.
    <//>`;
}

/** Keeps the document's title: what is wrong first, since a tab shows only its beginning. */
function Title() {
  const bad = channels.value.filter(({ view }) => view.value.mark === "bad").length;
  const { name, argument } = page.value;
  const titles = {
    overview: "",
    devices: "Devices",
    events: "Events",
    system: "System",
    "not-found": "Nothing here",
  };
  const own = name === "channel" ? (channel(argument)?.label ?? argument) : titles[name];
  const title = [bad ? `${bad} bad` : "", own, appliance.value.name, "leyden"]
    .filter(Boolean)
    .join(" · ");
  useEffect(() => {
    document.title = title;
  }, [title]);
  return null;
}

follow();
render(html`<${Panel} />`, document.getElementById("panel"));
start();
setTimeout(() => idle(() => bringAhead().catch(() => {})), AHEAD_MS); // then they come when wanted
