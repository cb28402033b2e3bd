// The page: which state it is in, and how it gets from one to the next.

import { allZones, browserZone, readAddress, writeAddress } from "./address.js";
import { redrawCharts, releaseCharts } from "./charts.js";
import { Client, Refusal, byCookie, byKey, byToken, canBeKey, storedKey } from "./client.js";
import { byId, element } from "./elements.js";
import { isEmbedded, onToken, takeTokenOfFragment, takesCookie, title, undress, wantToken } from "./embedding.js";
import { ago, counted, dateAndTime, dateRange, mediumDate, timeRange } from "./format.js";
import { frameOf, isSameFrame } from "./frame.js";
import { isStale, notice, noticesAbout, refusalNotice } from "./notices.js";
import { markTab, offerTabs, offeredTab, onTab } from "./tabs.js";
import { agentTypes } from "./views/agent_types.js";
import { compliance } from "./views/compliance.js";
import { cost } from "./views/cost.js";
import { feedback } from "./views/feedback.js";
import { usage } from "./views/usage.js";

const VIEWS = { usage, cost, compliance, feedback, "agent-types": agentTypes };
const NEW_SNAPSHOT_TRIES = 3;
const TICK_MS = 30_000;
const RELOAD_AFTER_MS = 10 * 60_000;

const tokenSentAlong = isEmbedded ? takeTokenOfFragment() : null; // first: the address is written anew
let address = readAddress();
let client = null;
let shown = null; // what the page shows: {address, frame, answers, refusals}
let loadedAt = 0;
let generation = 0; // of loads: an answer to an older one is let go
let countdown = null;
// --- Who asks ----------------------------------------------------------------------------------

let whenRefused = refused;
let refusedToken = null; // the page around this one may send it again and again
function leaveNothing() {
  client = null;
  shown = null;
  generation += 1;
  stopCountdown();
  releaseCharts();
  byId("view").replaceChildren();
  byId("notices").replaceChildren();
  for (const id of ["dashboard", "session", "freshness"]) byId(id).hidden = true;
}

function askForKey(problem = "") {
  storedKey.remove();
  leaveNothing();
  byId("sign-in").hidden = false;
  const field = byId("key");
  byId("key-problem").textContent = problem;
  field.setAttribute("aria-invalid", String(problem !== ""));
  field.value = "";
  field.focus();
}

function waitForToken() {
  leaveNothing();
  byId("waiting").hidden = false;
  wantToken();
}

/** @param {import("./client.js").Credential} credential */
function enterWith(credential) {
  client = new Client(credential);
  for (const id of ["sign-in", "waiting"]) byId(id).hidden = true;
  byId("key").value = "";
  for (const id of ["dashboard", "session"]) byId(id).hidden = false;
  byId("forget").hidden = credential.kind !== "key"; // a session ends where it began
  load();
}

/** What was shown, or asked with, does not open the numbers, or no longer. */
function refused() {
  if (isEmbedded) waitForToken();
  else if (client.kind === "key") askForKey("This key is not valid. It may be mistyped, expired or revoked.");
  else askForKey(shown === null ? "" : "Your session has ended. Sign in again, or type an API key.");
}

function start() {
  if (isEmbedded) {
    undress();
    let sent = tokenSentAlong;
    onToken((token) => {
      if (token === refusedToken) return;
      sent = token;
      enterWith(byToken(token));
    });
    whenRefused = () => {
      refusedToken = sent;
      refused();
    };
    if (sent !== null) enterWith(byToken(sent));
    else if (takesCookie) enterWith(byCookie());
    else waitForToken();
    return;
  }
  const key = storedKey.read();
  if (key !== null) enterWith(byKey(key));
  else if (takesCookie) enterWith(byCookie());
  else askForKey();
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const key = byId("key").value.trim();
  if (key === "") {
    askForKey("Type your API key.");
  } else if (canBeKey(key)) {
    storedKey.write(key);
    enterWith(byKey(key));
  } else {
    askForKey("This is not an API key: it has characters that no key has.");
  }
});

byId("forget").addEventListener("click", () => askForKey());

// --- Loading -----------------------------------------------------------------------------------

/**
 * Load what the address asks for and show it. `quietly`: no reader asked, so announce nothing, and
 * leave the page alone where it shows the newest data already.
 */
async function load({ quietly = false } = {}) {
  generation += 1;
  const mine = generation;
  const asked = address;
  stopCountdown();
  showChoices();
  if (!quietly) showLoading(asked);
  let outcome;
  try {
    outcome = await answersTo(asked, quietly ? shown : null);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    outcome = { refusals: [error] };
    offerTabs(client.scope);
  }
  if (mine !== generation) return;
  if (outcome.instead !== undefined) {
    choose({ tab: outcome.instead }, { replace: true });
    return;
  }
  byId("view").removeAttribute("aria-busy");
  if (outcome.refusals.some((refusal) => refusal.status === 401)) {
    whenRefused();
    return;
  }
  loadedAt = Date.now();
  if (outcome === shown) {
    showFreshness();
  } else if (outcome.frame !== undefined) {
    shown = { address: asked, ...outcome };
    showNumbers();
    if (!quietly) announce(outcome.frame);
  } else if (!quietly || shown === null) {
    // A frame that cannot be had leaves nothing that is true of these dates.
    shown = null;
    releaseCharts();
    byId("view").replaceChildren();
  }
  showNotices(outcome);
}

/**
 * `{frame, answers, refusals}`, all of one snapshot; `unless` itself where that is the same and
 * whole; `{refusals, instead}` where another tab is to be asked for, since this one is not offered.
 * Rejects if not even the dates are known.
 */
async function answersTo({ days, tz, tab }, unless) {
  let found;
  for (let tries = 0; tries < NEW_SNAPSHOT_TRIES; tries += 1) {
    const timeline = await client.get("usage/timeline", { days, tz }, { cached: false });
    offerTabs(client.scope);
    if (offeredTab(tab) !== tab) return { refusals: [], instead: offeredTab(tab) };
    client.keepOnly(timeline.snapshotId);
    const frame = frameOf({ days, tz }, timeline);
    if (unless?.refusals.length === 0 && isSameFrame(unless.frame, frame)) return unless;
    const requests = Object.entries(VIEWS[tab].requests(frame));
    const settled = await Promise.allSettled(
      requests.map(([, [endpoint, parameters]]) => client.get(endpoint, parameters)),
    );
    const answers = {};
    const refusals = [];
    let isOneSnapshot = true;
    settled.forEach((outcome, index) => {
      if (outcome.status === "fulfilled") {
        answers[requests[index][0]] = outcome.value.body;
        isOneSnapshot &&= outcome.value.snapshotId === frame.snapshotId;
      } else if (outcome.reason instanceof Refusal) {
        refusals.push(outcome.reason);
      } else {
        throw outcome.reason;
      }
    });
    found = { frame, answers, refusals };
    if (isOneSnapshot) return found;
    client.clearCache();
  }
  return found;
}

// --- Showing -----------------------------------------------------------------------------------

function showChoices() {
  markTab(address.tab);
  for (const choice of byId("periods").querySelectorAll("input")) {
    choice.checked = Number(choice.value) === address.days;
  }
  const zone = byId("zone");
  if (![...zone.options].some((option) => option.value === address.tz)) {
    zone.prepend(element("option", { value: address.tz }, address.tz));
  }
  zone.value = address.tz;
  byId("view").setAttribute("aria-labelledby", `tab-${address.tab}`);
  document.title = `${VIEWS[address.tab].title} · ${title}`;
}

function showLoading(asked) {
  const view = byId("view");
  view.setAttribute("aria-busy", "true");
  if (shown !== null && shown.address.tab === asked.tab) return; // dimmed by the style sheet
  releaseCharts();
  const blanks = (count, look) => Array.from({ length: count }, () => element("div", { class: look }));
  view.replaceChildren(
    element(
      "div",
      { class: "skeleton", "data-state": "loading" },
      element("p", { class: "unseen" }, "Loading"),
      element("div", { class: "cards" }, ...blanks(4, "card blank")),
      element("div", { class: "panels" }, ...blanks(1, "panel wide blank"), ...blanks(2, "panel blank")),
    ),
  );
}

function showNumbers() {
  const { address: of, frame, answers } = shown;
  const view = VIEWS[of.tab];
  releaseCharts();
  byId("view").replaceChildren(
    element(
      "div",
      { class: "view-head" },
      element("h2", {}, view.title),
      element(
        "p",
        { class: "range" },
        element("strong", {}, dateRange(frame.start, frame.end)),
        ` · ${counted(frame.days, "day")} in ${frame.tz}`,
        comparedSpans(answers.summary, frame.tz),
      ),
    ),
    ...view.render(frame, answers).filter((node) => node !== null),
  );
  showPeriods(frame);
  showFreshness();
}

/** Which two spans a summary compares; null where it compares nothing. */
function comparedSpans(summary, tz) {
  if (summary === undefined || (summary.change_reason ?? "") !== "" || !summary.compared) return null;
  const now = timeRange(summary.compared_from, summary.compared_to, tz);
  const before = timeRange(summary.previous_from, summary.previous_to, tz);
  return ` · change: ${now} against ${before}`;
}

/** Periods longer than what is kept cannot be chosen, and say why. */
function showPeriods({ kept, coveredFrom }) {
  const tooLong = [...byId("periods").querySelectorAll("input")].filter((choice) => {
    choice.disabled = Number(choice.value) > kept;
    return choice.disabled;
  });
  byId("periods-why").textContent =
    tooLong.length === 0
      ? ""
      : `${tooLong.map(({ value }) => value).join(" and ")} days are not kept: yours are from ${mediumDate(coveredFrom)} on.`;
}

function showFreshness() {
  const line = byId("freshness");
  line.hidden = shown === null;
  if (shown === null) return;
  const { dataAsOf, tz } = shown.frame;
  line.classList.toggle("stale", isStale(dataAsOf));
  if (dataAsOf === null) {
    line.replaceChildren("No data loaded yet");
    return;
  }
  line.replaceChildren(
    "Data as of ",
    element("time", { datetime: dataAsOf.toISOString() }, dateAndTime(dataAsOf, tz)),
    element("span", { class: "zone-name" }, ` ${tz}`),
    ` · ${ago(dataAsOf)}`,
  );
}

function showNotices({ refusals }) {
  const list = shown === null ? [] : noticesAbout(shown.frame);
  list.unshift(
    ...address.problems.map((text) => notice({ kind: "info", name: "address", text })),
  );
  byId("notices").replaceChildren(...list);
  if (refusals.length === 0) return;
  const worst = refusals.find((refusal) => refusal.retryAfter !== null) ?? refusals[0];
  waitAndRetry(worst);
}

/** Say what went wrong; where the server says when to come back, count down and come back. */
function waitAndRetry(refusal) {
  const place = element("div", {});
  byId("notices").prepend(place);
  const say = (wait) => place.replaceChildren(refusalNotice(refusal, { wait, retry: () => load() }));
  let wait = refusal.retryAfter;
  say(wait);
  if (wait === null) return;
  countdown = setInterval(() => {
    wait -= 1;
    if (wait <= 0) load();
    else place.querySelector(".detail").textContent = `Trying again in ${counted(wait, "second")}.`;
  }, 1000);
}

function stopCountdown() {
  clearInterval(countdown);
  countdown = null;
}

function announce(frame) {
  byId("announcement").textContent =
    `${VIEWS[address.tab].title}, ${dateRange(frame.start, frame.end)}, ${frame.tz}`;
}

// --- Choices -----------------------------------------------------------------------------------

/** @param {{replace?: boolean}} [how] */
function choose(change, how) {
  address = { ...address, ...change, problems: [] };
  writeAddress(address, how);
  if (client !== null) load();
}

byId("periods").addEventListener("change", (event) => choose({ days: Number(event.target.value) }));
byId("zone").addEventListener("change", (event) => choose({ tz: event.target.value }));
onTab((tab) => choose({ tab }));
byId("refresh").addEventListener("click", () => {
  client.clearCache();
  load();
});
addEventListener("popstate", () => {
  address = readAddress();
  showChoices();
  if (client !== null) load();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  redrawCharts(); // they do not take their colours from the style sheet
});
for (const event of ["beforeprint", "afterprint"]) {
  addEventListener(event, () => {
    // Paper is white and narrow, whatever the screen is.
    document.documentElement.classList.toggle("printing", event === "beforeprint");
    redrawCharts();
  });
}

function offerZones() {
  const first = [...new Set([browserZone(), "UTC"])];
  const option = (zone) => element("option", { value: zone }, zone);
  const regions = Map.groupBy(
    allZones().filter((zone) => !first.includes(zone)),
    (zone) => zone.split("/")[0],
  );
  byId("zone").replaceChildren(
    ...first.map(option),
    ...[...regions].map(([region, zones]) =>
      element("optgroup", { label: region }, ...zones.map(option)),
    ),
  );
  showChoices();
}

function tick() {
  if (shown === null || document.hidden) return;
  showFreshness();
  if (Date.now() - loadedAt > RELOAD_AFTER_MS && countdown === null) load({ quietly: true });
}

showChoices();
writeAddress(address, { replace: true });
setInterval(tick, TICK_MS);
document.addEventListener("visibilitychange", tick);

start();
// Hundreds of zones can wait until the numbers are asked for and the page is painted.
requestAnimationFrame(() => setTimeout(offerZones));
