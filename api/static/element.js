// Builds what the page shows. Whatever comes from the service goes in as text and never as markup.

import { Problem } from "./api.js";

/** An element with `attributes` (a function under `onclick` and the like listens) and children: nodes or text. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function" || typeof value === "boolean") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** The parts of a page's template by the names in `data-field`, after `root` was filled with it. */
export function fill(root, template) {
  root.replaceChildren(document.getElementById(template).content.cloneNode(true));
  const marked = [...root.querySelectorAll("[data-field]")];
  return Object.fromEntries(marked.map((part) => [part.dataset.field, part]));
}

/** A status in its colour. */
export const badge = (status) => element("span", { class: `badge ${status}` }, status);

/** Does `work`; what it returns stands in `place` afterwards, or else its refusal. */
export async function attempt(place, work, go = null) {
  try {
    place.replaceChildren((await work()) ?? "");
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    place.replaceChildren(refusal(problem, go));
  }
}

/** What a refusal says: its sentence, and each fault with its pointer, which `go(pointer)` leads to. */
function refusal(problem, go) {
  const faults = problem.errors.map(({ pointer, parameter, message }) =>
    element("li", {}, go && pointer !== undefined
      ? element("button", { type: "button", class: "pointer", onclick: () => go(pointer) }, pointer || "/")
      : element("code", {}, pointer || parameter || "/"), " ", message));
  return element("div", { class: "refusal" },
    element("p", {}, problem.message),
    ...(faults.length ? [element("ul", {}, ...faults)] : []));
}
