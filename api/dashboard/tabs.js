// The tabs: which of them the reader may see, which one is chosen, and how another one is.

import { byId } from "./elements.js";

const tabs = () => [...byId("tabs").children];
const offered = () => tabs().filter((tab) => !tab.hidden);

/** Offer the tabs of these families of endpoints and no others; null offers all. */
export function offerTabs(/** @type {Set<string> | null} */ families) {
  const hasDates = families === null || families.has("usage"); // every tab's are the timeline's
  for (const tab of tabs()) tab.hidden = !hasDates || families?.has(tab.dataset.tab) === false;
}

/** The tab itself where it is offered, else the first one that is; null where none is. */
export function offeredTab(name) {
  const names = offered().map((tab) => tab.dataset.tab);
  return names.includes(name) ? name : (names[0] ?? null);
}

/** Mark a tab as the chosen one. */
export function markTab(name) {
  for (const tab of tabs()) {
    const isChosen = tab.dataset.tab === name;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
  }
}

/** Call `handle` with the name of each tab that is pressed, or moved to by the arrow keys. */
export function onTab(handle) {
  byId("tabs").addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab !== null) handle(tab.dataset.tab);
  });
  byId("tabs").addEventListener("keydown", (event) => {
    const among = offered();
    const at = among.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: among.length - 1 }[event.key];
    if (to === undefined || at === -1) return;
    event.preventDefault();
    const next = among.at(to % among.length);
    next.focus();
    handle(next.dataset.tab);
  });
}
