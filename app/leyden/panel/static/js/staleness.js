// Staleness: what a value is worth now, given what it was worth when it arrived.

/** Why a value cannot be trusted that came over a connection that is lost. */
export const NOT_CONNECTED = "not connected";

/** Seconds after which a value with this period is stale, and after which it is none at all. */
export function limits(periodS) {
  return { stale: Math.max(2 * periodS, 1), lost: Math.max(3 * periodS, 2) };
}

/**
 * Judges a reading `{quality, reason, detail}` whose value is `ageS` old.
 *
 * Returns `{quality, reason, detail}` as it must be shown: never better than it arrived, and never
 * good when it is older than its period allows or nobody can tell whether it still holds.
 */
export function judge(reading, periodS, ageS, connected) {
  const { quality, reason, detail } = reading;
  if (quality === "bad") return { quality, reason, detail };
  if (periodS && !(ageS <= limits(periodS).lost)) {
    return { quality: "bad", reason: "no_data", detail: why(reading, connected) };
  }
  if (periodS && ageS > limits(periodS).stale) {
    return { quality: "uncertain", reason: "stale", detail: why(reading, connected) };
  }
  if (!connected) return { quality: "uncertain", reason: "stale", detail: NOT_CONNECTED };
  return { quality, reason, detail };
}

/** A value that stopped coming has the reason it came with last, if that was about its coming. */
function why({ reason, detail }, connected) {
  if (!connected) return NOT_CONNECTED;
  return reason === "stale" || reason === "no_data" ? detail : "no new value";
}
