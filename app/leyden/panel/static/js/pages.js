// Parts that every page shares: its heading, and its empty, waiting and failed states.

import { html, useEffect, useRef, useState } from "./html.js";
import { takeArrival } from "./router.js";

/**
 * The page's heading; on arrival it takes the focus, so that the keyboard and a screen reader start
 * there. `hidden` keeps it for readers only.
 */
export function Heading({ hidden = false, children }) {
  const heading = useRef(null);
  useEffect(() => {
    if (takeArrival()) heading.current.focus({ preventScroll: true });
  }, []);
  return html`<h1 ref=${heading} class=${hidden ? "for-readers" : ""} tabindex="-1">
    ${children}
  </h1>`;
}

/** Said where there is nothing to show, with what to do about it. */
export const Empty = ({ children }) => html`<div class="message">${children}</div>`;

/** Said when something cannot be shown, with the reason. */
export function Failure({ title, children }) {
  return html`<div class="message" role="alert">
    <p><strong>${title}</strong></p>
    <p>${children}</p>
  </div>`;
}

/** Said while waiting, but not for the blink of an eye that it usually takes. */
export function Waiting({ children }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 300);
    return () => clearTimeout(timer);
  }, []);
  return html`<p class="message waiting" aria-busy="true">${late && children}</p>`;
}

/** The page for an address that names nothing. */
export function NotFound({ path }) {
  return html`<${Heading}>Nothing here<//>
    <${Empty}>
      <p>There is no page at <code>${path}</code>.</p>
      <p><a href="/">All channels</a></p>
    <//>`;
}
