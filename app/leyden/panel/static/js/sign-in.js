// The sign-in page: takes the token out of the one-time link and sends it.
//
// The token stands behind the `#`, which browsers keep to themselves. It leaves the address bar and
// the history before anything else happens.

const token = new URLSearchParams(location.hash.slice(1)).get("token");

if (token) {
  history.replaceState(null, "", location.pathname + location.search);
  const form = document.querySelector("form");
  form.querySelector("[type=password]").value = token;
  form.submit();
}
