// Builders of page elements. Text from the service is inserted as text, never as markup.

import { Problem } from "./api.js";

/** Returns an element with attributes, event handlers (functions, such as `onclick`) and children (nodes or text). */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function" || typeof value === "boolean") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Fills `root` with a template; returns its elements by their `data-field`. */
export function fill(root, template) {
  root.replaceChildren(document.getElementById(template).content.cloneNode(true));
  const fields = [...root.querySelectorAll("[data-field]")];
  return Object.fromEntries(fields.map((field) => [field.dataset.field, field]));
}

/** Returns a status in its colour. */
export const badge = (status) => element("span", { class: `badge ${status}` }, status);

/** Runs `work` and shows in `place` what it returns, or the `Problem` that it throws. */
export async function attempt(place, work, go = null) {
  try {
    place.replaceChildren((await work()) ?? "");
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    place.replaceChildren(problemView(problem, go));
  }
}

/** Returns a problem's message and a list of its errors; a click on a pointer calls `go(pointer)`. */
function problemView(problem, go) {
  const errors = problem.errors.map(({ pointer, parameter, message }) =>
    element("li", {}, go && pointer !== undefined
      ? element("button", { type: "button", class: "pointer", onclick: () => go(pointer) }, pointer || "/")
      : element("code", {}, pointer || parameter || "/"), " ", message));
  if (problem.moreErrors) errors.push(element("li", {}, `and ${problem.moreErrors} more`));
  return element("div", { class: "problem" },
    element("p", {}, problem.message),
    ...(errors.length ? [element("ul", {}, ...errors)] : []));
}
