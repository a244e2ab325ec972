// The size of a tile's number: the largest of three that its widest value fits in.
//
// Fonts differ by a third in the width of a digit, so the font at hand is measured, not assumed.

import { signal } from "./html.js";

const SIZES = [2.75, 1.75, 1.25]; // rem: 44, 28 and 20 px
const UNIT = 1; // rem
const BETWEEN_PX = 4;

/** Width of a tile's content, px; 0 until it has been measured. */
export const tileWidth = signal(0);

/** Follows the width of the tiles in `list`; returns how to stop. */
export function measureTiles(list) {
  const measure = () => {
    const tile = list.querySelector(".tile");
    const style = tile && getComputedStyle(tile);
    if (tile) tileWidth.value = tile.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  };
  measure();
  const observer = new ResizeObserver(measure);
  observer.observe(list);
  return () => observer.disconnect();
}

/** 0, 1 or 2: the first size at which `text` and its unit fit the width of a tile. */
export function fit(text, unit, width) {
  if (!width) return 0;
  const after = unit ? BETWEEN_PX + textWidth(unit, UNIT, 400) : 0;
  const found = SIZES.findIndex((rem) => textWidth(text, rem, 600) + after <= width);
  return found === -1 ? SIZES.length - 1 : found;
}

const widths = new Map();
let canvas = null;

function textWidth(text, rem, weight) {
  const style = getComputedStyle(document.documentElement);
  // Every digit is as wide as a zero, so that a value that changes does not change its width.
  const zeros = text.replace(/\d/g, "0");
  const font = `${weight} ${rem * parseFloat(style.fontSize)}px ${style.fontFamily}`;
  const key = `${font}|${zeros}`;
  if (!widths.has(key)) {
    canvas ??= document.createElement("canvas").getContext("2d");
    canvas.font = font;
    widths.set(key, canvas.measureText(zeros).width);
  }
  return widths.get(key);
}
