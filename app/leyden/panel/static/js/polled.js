// What is asked for again and again while somebody looks.

import { useEffect, useState } from "./html.js";
import { get } from "./api.js";

/** Asks `path` every `everyMs`; keeps the last answer when one fails: `{answer, failure}`. */
export function usePolled(path, everyMs) {
  const [found, setFound] = useState({ answer: null, failure: "" });
  useEffect(() => {
    const abort = new AbortController();
    const fail = ({ name, message }) =>
      name !== "AbortError" && setFound(({ answer }) => ({ answer, failure: message }));
    const ask = () => {
      if (document.hidden) return;
      get(path, {}, abort.signal).then((answer) => setFound({ answer, failure: "" }), fail);
    };
    ask();
    const timer = setInterval(ask, everyMs);
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }, [path]);
  return found;
}
