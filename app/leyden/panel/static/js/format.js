// Numbers, units and times as people write them: fixed decimals, real signs, no jumping digits.

const THIN = "\u202f"; // narrow no-break space: groups thousands
const MINUS = "\u2212"; // as wide as a digit, where a hyphen is not
const NONE = "\u2013";

// Stored units that read badly at the size they come in, and the form that is shown instead.
const DISPLAY = {
  Pa: [{ from: 10_000, unit: "hPa", scale: 0.01, decimals: 1 }],
  By: [
    { from: 1e10, unit: "GB", scale: 1e-9, decimals: 1 },
    { from: 1e9, unit: "GB", scale: 1e-9, decimals: 2 },
    { from: 1e6, unit: "MB", scale: 1e-6, decimals: 1 },
    { from: 1e4, unit: "kB", scale: 1e-3, decimals: 1 },
  ],
  s: [
    { from: 172_800, unit: "d", scale: 1 / 86_400, decimals: 1 },
    { from: 7_200, unit: "h", scale: 1 / 3_600, decimals: 1 },
    { from: 600, unit: "min", scale: 1 / 60, decimals: 0 },
  ],
};

/** How the values of one route are written: `{unit, scale, decimals}`. */
export function display(route, sample) {
  // Chosen once, from the first value, so that the unit does not change under the eye.
  const size = Math.abs(sample ?? route.maximum ?? 0);
  const plain = { unit: route.symbol || "", scale: 1, decimals: decimals(route) };
  return DISPLAY[route.unit]?.find(({ from }) => size >= from) ?? plain;
}

/** One value in its form, without the unit. */
export function write(value, form) {
  if (value === null || value === undefined) return NONE;
  if (value === true) return "on";
  if (value === false) return "off";
  if (typeof value === "number") return number(value * form.scale, form.decimals);
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A number with fixed decimals, grouped thousands and a minus sign as wide as a digit. */
export function number(value, places = 0) {
  if (!Number.isFinite(value)) return NONE;
  const [whole, fraction] = Math.abs(value).toFixed(places).split(".");
  const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, THIN) : whole;
  const text = fraction ? `${grouped}.${fraction}` : grouped;
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

/** Seconds as people say them: "0.4 s", "12 s", "4 min", "2 h 5 min", "3 d 4 h". */
export function duration(seconds) {
  if (seconds < 1 && seconds > 0) return `${seconds.toFixed(1)} s`;
  const s = Math.floor(seconds);
  if (s < 120) return `${s} s`;
  if (s < 7_200) return `${Math.floor(s / 60)} min`;
  if (s < 172_800) return pair(s, 3_600, "h", 60, "min");
  return pair(s, 86_400, "d", 3_600, "h");
}

/** The distance of two readings: "500 ms", "2 s", "2.5 s". */
export function period(seconds) {
  if (seconds < 1) return `${number(seconds * 1000)} ms`;
  return `${number(seconds, seconds % 1 ? 1 : 0)} s`;
}

/** Time of day, 24 hours: "20:31:07". */
export function timeOfDay(ms) {
  return Number.isFinite(ms) ? new Date(ms).toLocaleTimeString("en-GB") : "";
}

/** A past moment, with its day when that is not today: "20:31:07", "19 Nov 20:31:07". */
export function moment(ms, todayMs) {
  const day = (at) => new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  const far = Math.abs(todayMs - ms) > 43_200_000 || day(ms) !== day(todayMs);
  return far ? `${day(ms)} ${timeOfDay(ms)}` : timeOfDay(ms);
}

/** A moment to the millisecond with its zone, for hover and focus. */
export function exact(ms) {
  if (!Number.isFinite(ms)) return "";
  const date = new Date(ms);
  const pad = (value, width = 2) => String(value).padStart(width, "0");
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  const zone = -date.getTimezoneOffset();
  const [hours, minutes] = [Math.floor(Math.abs(zone) / 60), Math.abs(zone) % 60];
  const offset = `${zone < 0 ? MINUS : "+"}${pad(hours)}:${pad(minutes)}`;
  return `${day} ${timeOfDay(ms)}.${pad(date.getMilliseconds(), 3)} UTC${offset}`;
}

/** "1 channel", "3 channels". */
export const count = (n, noun, plural = `${noun}s`) => `${number(n)} ${n === 1 ? noun : plural}`;

function decimals(route) {
  if (route.kind === "int") return 0;
  if (Number.isInteger(route.decimals)) return route.decimals;
  return route.step ? Math.min(4, Math.max(0, Math.ceil(-Math.log10(route.step) - 1e-9))) : 1;
}

function pair(s, big, bigWord, small, smallWord) {
  const rest = Math.floor((s % big) / small);
  return `${Math.floor(s / big)} ${bigWord}${rest ? ` ${rest} ${smallWord}` : ""}`;
}
