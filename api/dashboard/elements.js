// Builds elements. Every text goes in as a text node, so no name from the data is ever markup.

/**
 * An element with attributes, listeners (`onclick: handler`) and children (nodes or texts).
 * An attribute that is null, undefined or false is left out; so is a child that is null.
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/**
 * The one element of the page with this id.
 * @returns {any}
 */
export function byId(id) {
  return document.getElementById(id);
}

/** Text that only a screen reader gets. */
export function unseen(text) {
  return element("span", { class: "unseen" }, text);
}

/** A name from the data: its own direction of writing does not spill over into what is around. */
export function nameElement(name) {
  return element("bdi", { class: "name" }, name);
}
