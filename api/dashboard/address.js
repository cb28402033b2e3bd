// What the address says: period, time zone and tab. The key is never part of it.

import { isEmbedded } from "./embedding.js";

export const PERIODS = [7, 30, 90];
export const TABS = ["usage", "cost", "compliance", "feedback", "agent-types"];

// Some browsers still know places by names that they no longer have.
const PRESENT_NAMES = {
  "Africa/Asmera": "Africa/Asmara",
  "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
  "America/Catamarca": "America/Argentina/Catamarca",
  "America/Coral_Harbour": "America/Atikokan",
  "America/Cordoba": "America/Argentina/Cordoba",
  "America/Godthab": "America/Nuuk",
  "America/Indianapolis": "America/Indiana/Indianapolis",
  "America/Jujuy": "America/Argentina/Jujuy",
  "America/Louisville": "America/Kentucky/Louisville",
  "America/Mendoza": "America/Argentina/Mendoza",
  "Asia/Calcutta": "Asia/Kolkata",
  "Asia/Katmandu": "Asia/Kathmandu",
  "Asia/Rangoon": "Asia/Yangon",
  "Asia/Saigon": "Asia/Ho_Chi_Minh",
  "Atlantic/Faeroe": "Atlantic/Faroe",
  "Europe/Kiev": "Europe/Kyiv",
  "Pacific/Enderbury": "Pacific/Kanton",
  "Pacific/Ponape": "Pacific/Pohnpei",
  "Pacific/Truk": "Pacific/Chuuk",
};

function presentName(zone) {
  const present = PRESENT_NAMES[zone];
  return present !== undefined && isZone(present) ? present : zone;
}

/** The browser's own zone; UTC if it does not know. */
export function browserZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return zone && isZone(zone) ? presentName(zone) : "UTC";
}

/** All zones that the browser knows, by their present names. */
export function allZones() {
  return Intl.supportedValuesOf("timeZone").map(presentName).toSorted();
}

/** Whether the browser can write times in a zone of this name. */
export function isZone(name) {
  try {
    new Intl.DateTimeFormat(undefined, { timeZone: name });
    return /^[A-Za-z]/.test(name);
  } catch {
    return false;
  }
}

/**
 * What the address asks for, with a default for what it does not say:
 * `{days, tz, tab, problems}`. `problems` are sentences about what could not be used.
 */
export function readAddress(search = location.search) {
  const asked = new URLSearchParams(search);
  const problems = [];
  const read = (name, isUsable, otherwise, problem) => {
    const text = asked.get(name);
    if (text !== null && isUsable(text)) return text;
    if (text !== null) problems.push(`“${text.slice(0, 64)}” is not ${problem}`);
    return otherwise;
  };
  const periods = PERIODS.map(String);
  return {
    days: Number(
      read(
        "days",
        (text) => periods.includes(text),
        periods[0],
        `a period of this page, which are ${periods.join(", ")} days: this shows ${periods[0]}.`,
      ),
    ),
    tz: read("tz", isZone, browserZone(), "a time zone, so the one of this browser is used."),
    tab: read("tab", (text) => TABS.includes(text), TABS[0], "a tab of this page."),
    problems,
  };
}

/** Put a choice into the address; `replace` adds no step to the history, which a frame shares. */
export function writeAddress({ days, tz, tab }, { replace = isEmbedded } = {}) {
  const choice = new URLSearchParams({ days, tz, tab }).toString().replaceAll("%2F", "/");
  const query = isEmbedded ? `embed=1&${choice}` : choice;
  if (location.search === `?${query}`) return;
  const address = `${location.pathname}?${query}`;
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
}
