// What fits: how many columns the board has, and the largest of three sizes for a tile's number.
//
// Fonts differ by a third in the width of a digit, so the font at hand is measured, not assumed.

import { signal } from "./html.js";

const SIZES = [2.75, 1.75, 1.25]; // rem: 44, 28 and 20 px
const UNIT = 1; // rem
const BETWEEN_PX = 4;
const TILE_PX = 168; // at least
const LINE_PX = 1;
const PADDING_PX = 28; // of a tile, left and right

/** Columns of the board, and the width of a tile's content in px, as far as they are known. */
export const board = signal(divide(innerWidth));

/** Follows the width of the board; returns how to stop. */
export function measure(node) {
  const look = () => {
    const divided = divide(node.clientWidth);
    const { columns, width } = board.peek();
    if (divided.columns !== columns || divided.width !== width) board.value = divided;
  };
  look();
  const observer = new ResizeObserver(look);
  observer.observe(node);
  return () => observer.disconnect();
}

/** As many columns as fit, with a line of one pixel between them. */
function divide(width) {
  const columns = Math.max(1, Math.floor((width + LINE_PX) / (TILE_PX + LINE_PX)));
  return { columns, width: (width - (columns - 1) * LINE_PX) / columns - PADDING_PX };
}

/** 0, 1 or 2: the first size at which `text` and its unit fit the width of a tile. */
export function fit(text, unit, width) {
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
