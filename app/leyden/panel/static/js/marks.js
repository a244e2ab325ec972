// Marks: the shape that goes with each quality, drawn so that no font decides how it looks.

import { html } from "./html.js";
import { markWord } from "./words.js";

const WAVES = "M2 5.5q2.5-3 5 0t5 0M2 10q2.5-3 5 0t5 0";
const CROSS = "M3 3l8 8M11 3l-8 8";
const SHAPES = { uncertain: WAVES, stale: WAVES, bad: CROSS };

/** The mark of a quality with its word for a screen reader; nothing to see when good. */
export function Mark({ of }) {
  if (!SHAPES[of]) return html`<span class="for-readers">${markWord(of)}</span>`;
  return html`<span class="mark is-${of}">
    <svg viewBox="0 0 14 14" width="14" height="14" aria-hidden="true">
      <path d=${SHAPES[of]} />
    </svg>
    <span class="for-readers">${markWord(of)}</span>
  </span>`;
}

/** The product's mark: a capacitor, two short parallel bars between two lines. */
export function Capacitor() {
  return html`<svg class="capacitor" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
    <path d="M0 12h9.5M14.5 12H24M9.5 4v16M14.5 4v16" />
  </svg>`;
}

/** The hatching that drawings refer to as `url(#hatch-…)`; once a page. */
export function Hatching() {
  return html`<svg class="hatching" width="0" height="0" aria-hidden="true" focusable="false">
    <defs>
      ${["uncertain", "bad"].map(
        (
          name,
        ) => html`<pattern id="hatch-${name}" width="6" height="6" patternUnits="userSpaceOnUse">
          <path class="hatch-line is-${name}" d="M-1 1l2-2M0 6l6-6M5 7l2-2" />
        </pattern>`,
      )}
    </defs>
  </svg>`;
}
