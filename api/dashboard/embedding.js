// The dashboard in a frame of another page, and what the server's settings say about it.

import { byId, element } from "./elements.js";

const LONGEST_TOKEN = 32_768;
const about = document.documentElement.dataset;
const parents = (about.parents ?? "").split(" ").filter((origin) => origin !== "");

/** What the dashboard is called. */
export const title = about.title ?? "agentstats";

/** Whether a cookie of the platform may say who asks. */
export const takesCookie = about.cookie !== undefined;

/** Whether the page is shown without header and footer: `?embed=1`. */
export const isEmbedded = new URLSearchParams(location.search).get("embed") === "1";

/** Take the header, the footer and the way to type a key off the page. */
export function undress() {
  document.documentElement.classList.add("embedded");
  for (const part of document.querySelectorAll(".top, .foot, .skip")) part.setAttribute("hidden", "");
  byId("main").prepend(element("h1", { class: "unseen" }, title));
}

/** The token in the address's fragment, `#token=…`, which leaves the address with it; or null. */
export function takeTokenOfFragment() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return null;
  history.replaceState(history.state, "", location.pathname + location.search);
  return isToken(token) ? token : null;
}

/** Call `handle` with each token that the page around this one sends, or that the fragment gets. */
export function onToken(handle) {
  addEventListener("message", ({ source, origin, data }) => {
    if (window.parent === window || source !== window.parent || !parents.includes(origin)) return;
    if (data?.type === "agentstats.token" && isToken(data.token)) handle(data.token);
  });
  addEventListener("hashchange", () => {
    const token = takeTokenOfFragment();
    if (token !== null) handle(token);
  });
}

/** Let the page around this one know that a token is wanted. Nothing in it is secret. */
export function wantToken() {
  if (window.parent !== window) window.parent.postMessage({ type: "agentstats.token-wanted" }, "*");
}

function isToken(text) {
  return typeof text === "string" && text.length <= LONGEST_TOKEN && /^[\w.-]+$/.test(text);
}
