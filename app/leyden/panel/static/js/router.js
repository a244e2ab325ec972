// Addresses: which page the path names, and going there without loading the document again.

import { computed, signal } from "./html.js";

const PAGES = [
  [/^\/$/, "overview"],
  [/^\/channels\/([^/]+)$/, "channel"],
  [/^\/devices$/, "devices"],
  [/^\/events$/, "events"],
  [/^\/system$/, "system"],
];

const path = signal(location.pathname);
let arrived = false;

/** Whether a page has just been gone to whose heading has not taken the focus yet; true once. */
export function takeArrival() {
  const taken = arrived;
  arrived = false;
  return taken;
}

/** `{name, argument}` of the page that the address names. */
export const page = computed(() => {
  for (const [pattern, name] of PAGES) {
    const match = pattern.exec(path.value);
    if (match) return { name, argument: match[1] && decodeURIComponent(match[1]) };
  }
  return { name: "not-found", argument: path.value };
});

/** The address of a channel's page. */
export const channelPath = (key) => `/channels/${encodeURIComponent(key)}`;

/** Begins to follow links and the browser's own back and forward. */
export function follow() {
  addEventListener("popstate", () => arrive(location.pathname));
  document.addEventListener("click", (click) => {
    const link = click.target.closest("a[href]");
    if (!link || !ours(link, click)) return;
    click.preventDefault();
    if (link.pathname !== location.pathname) history.pushState(null, "", link.href);
    arrive(link.pathname);
    scrollTo(0, 0);
  });
}

function ours(link, click) {
  const plain =
    click.button === 0 && !click.metaKey && !click.ctrlKey && !click.shiftKey && !click.altKey;
  const here = link.origin === location.origin && !link.hash && link.getAttribute("href");
  return plain && here && PAGES.some(([pattern]) => pattern.test(link.pathname));
}

function arrive(to) {
  if (to === path.value) return;
  arrived = true;
  path.value = to;
}
