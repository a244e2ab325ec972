// Requests to the panel's own API, with errors as sentences.

/** What a request came to when it did not come to an answer. */
export class RequestError extends Error {
  /**
   * @param {string} message in words
   * @param {number} status HTTP status; 0 when nothing answered
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** GETs `/api/v1/<path>` with `query` and returns the JSON answer. */
export async function get(path, query = {}, signal = undefined) {
  const url = new URL(`/api/v1/${path}`, location.origin);
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value].flat()) url.searchParams.append(name, each);
  }
  return answered(await ask(url, { headers: { Accept: "application/json" }, signal }));
}

/** POSTs `body` as JSON to `/api/v1/<path>` and returns the JSON answer. */
export async function post(path, body) {
  // The header says that our own page asks: no other site's page can send it.
  const headers = { "Content-Type": "application/json", "X-Leyden": "1" };
  return answered(
    await ask(`/api/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) }),
  );
}

const PAGE = 1_000; // events asked for at a time
const PAGES = 40;

/**
 * Reads the events in (`after`, `to`] whose routes begin as one of `routes`; without, all.
 *
 * Returns `{events, gaps}`, oldest first.
 */
export async function readEvents(after, to, routes, signal = undefined) {
  const found = { events: [], gaps: [] };
  const filter = routes ? { route: routes } : {};
  for (let next = after, i = 0; next < to && i < PAGES; i++) {
    const page = await get("events", { after: next, limit: PAGE, ...filter }, signal);
    found.events.push(...page.events.filter(({ n }) => n <= to));
    found.gaps.push(...page.gaps.filter(({ last }) => last <= to));
    if (page.next <= next) break;
    next = page.next;
  }
  return found;
}

let leaving = false;

/** Notes that the session is being ended on purpose: what is refused from now on is no surprise. */
export function leave() {
  leaving = true;
}

/** Goes to the sign-in page, which comes back to where we are. */
export function signIn() {
  if (leaving) return;
  leaving = true;
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
}

async function answered(response) {
  if (response.status === 401) signIn();
  if (!response.ok) throw new RequestError(await refusal(response), response.status);
  return response.json();
}

async function ask(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestError("the panel does not answer", 0);
  }
}

async function refusal(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `the panel answered ${response.status}`;
  }
}
