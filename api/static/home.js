// The home page: a form for a new job, and the list of jobs.

import { STATUSES, repeat, request } from "./api.js";
import { attempt, badge, element, fill } from "./element.js";
import { EXAMPLES } from "./examples.js";
import { ago, bytes, number, pretty } from "./format.js";
import { locate } from "./pointer.js";

const LIST_MS = 2000;
const PAGE_JOBS = 20;
const PAGE_DATASETS = 10;
const MAX_LIVE_JOBS = 100;

/** The text in the editor; it survives while another page is open. */
let draft = pretty(EXAMPLES[0].spec);

/** Puts a spec into the editor of a new job. */
export const useAsDraft = (spec) => { draft = pretty(spec); };

/** Opens the page in `root`. Returns a function that closes it. */
export function openHome(root) {
  fill(root, "home");
  document.title = "Chainrule";
  openForm(root);
  openDatasets(root);
  return openList(root);
}

/** Lists the newest datasets; more are loaded on request. */
function openDatasets(root) {
  const [list, empty, problem, more] = [".datasets", ".no-datasets", ".datasets-problem", "#more-datasets"].map((name) => root.querySelector(name));
  const load = (cursor) => attempt(problem, async () => {
    const query = new URLSearchParams({ limit: PAGE_DATASETS, ...(cursor && { cursor }) });
    const { items, next_cursor: next } = await request("GET", `v1/datasets?${query}`);
    list.append(...items.map((dataset) => element("li", {}, element("a", { href: `#/datasets/${dataset.id}` },
      element("span", { class: "name" }, dataset.name ?? dataset.id), element("span", { class: "state quiet" }, dataset.format),
      element("span", { class: "quiet" }, `${dataset.rows.toLocaleString()} rows · ${bytes(dataset.bytes)} · ${ago(dataset.created_at)}`)))));
    empty.hidden = list.children.length > 0;
    more.hidden = next === null;
    more.onclick = () => load(next);
  });
  load();
}

function openForm(root) {
  const [editor, result, description] = ["#spec", "#result", ".description"].map((name) => root.querySelector(name));
  const write = (text) => {
    editor.value = draft = text;
    editor.rows = Math.min(24, text.split("\n").length + 1);
    result.replaceChildren();
  };
  const choose = ({ spec, description: text }) => {
    write(pretty(spec));
    description.textContent = text;
  };
  const submit = (path, accept) =>
    attempt(result, async () => accept(await request("POST", path, editor.value)), (pointer) => select(editor, pointer));
  root.querySelector(".examples").append(...EXAMPLES.map((example) =>
    element("button", { type: "button", onclick: () => choose(example) }, example.spec.name)));
  write(draft);
  description.textContent = EXAMPLES.find(({ spec }) => pretty(spec) === draft)?.description ?? "";
  editor.oninput = () => { draft = editor.value; };
  root.querySelector("#post").onsubmit = (event) => {
    event.preventDefault();
    submit("v1/jobs", (job) => { location.hash = `#/jobs/${job.id}`; });
  };
  root.querySelector("#validate").onclick = () => submit("v1/jobs/validate", estimate);
}

/** Selects the part of the text at the pointer, and scrolls to it. */
function select(editor, pointer) {
  const [start, end] = locate(editor.value, pointer);
  const above = editor.value.slice(0, start).split("\n").length - 1;
  editor.focus();
  editor.setSelectionRange(start, end);
  editor.scrollTop = (above - 2) * parseFloat(getComputedStyle(editor).lineHeight);
}

/** Returns the cost of a valid job. */
function estimate({ parameters, layers, steps, flops, warnings = [] }) {
  return element("div", { class: "estimate" },
    element("p", {}, `Valid. Parameters: ${number(parameters, 8)}, steps: ${number(steps, 8)}, FLOPs per step: ${number(flops)}.`),
    element("ul", {}, ...layers.map(({ pointer, type, output_shape }) =>
      element("li", {}, element("code", {}, pointer), ` ${type} → (${output_shape.join(", ")})`))),
    ...warnings.map(({ pointer, message }) => element("p", {}, `${pointer}: ${message}`)));
}

function openList(root) {
  const part = Object.fromEntries(["filter", "more"].map((name) => [name, root.querySelector(`#${name}`)]));
  const [list, empty, problem] = [".jobs", ".empty", ".list-problem"].map((name) => root.querySelector(name));
  const rows = new Map();
  let older = [], cursor = null, shown = PAGE_JOBS;

  const page = (limit, from) => {
    const query = new URLSearchParams({ limit, ...(part.filter.value && { status: part.filter.value }), ...(from && { cursor: from }) });
    return request("GET", `v1/jobs?${query}`);
  };
  // The newest jobs are refreshed; older ones stay as they were loaded.
  const refresh = () => attempt(problem, async () => {
    const live = await page(Math.min(shown, MAX_LIVE_JOBS));
    if (shown <= MAX_LIVE_JOBS) cursor = live.next_cursor;
    draw([...live.items, ...older.filter((job) => !live.items.some(({ id }) => id === job.id))]);
  });
  const draw = (jobs) => {
    const nodes = jobs.map((job) => {
      if (!rows.has(job.id)) rows.set(job.id, openRow(job.id));
      return rows.get(job.id)(job);
    });
    const same = nodes.length === list.children.length && nodes.every((node, at) => node === list.children[at]);
    if (!same) list.replaceChildren(...nodes);
    empty.hidden = jobs.length > 0;
    part.more.hidden = cursor === null;
  };
  const more = () => attempt(problem, async () => {
    shown += PAGE_JOBS;
    if (shown > MAX_LIVE_JOBS) {
      const next = await page(PAGE_JOBS, cursor);
      [older, cursor] = [[...older, ...next.items], next.next_cursor];
    }
    await refresh();
  });
  part.filter.append(element("option", { value: "" }, "all"), ...STATUSES.map((status) => element("option", {}, status)));
  part.filter.onchange = () => {
    [older, shown] = [[], PAGE_JOBS];
    refresh();
  };
  part.more.onclick = more;
  return repeat(refresh, LIST_MS);
}

/** Returns a function that shows a job in its row. The row's elements are reused, so keyboard focus survives. */
function openRow(id) {
  const [name, state, text] = ["name", "state", "quiet"].map((part) => element("span", { class: part }));
  const bar = element("progress", { max: 1, value: 0, "aria-label": "Progress" });
  const node = element("li", {}, element("a", { href: `#/jobs/${id}` }, name, state, bar, text));
  return (job) => {
    name.textContent = job.name ?? id;
    state.replaceChildren(badge(job.status));
    bar.value = job.progress.fraction;
    text.textContent = `loss ${number(job.latest.loss)} · ${ago(job.created_at)}`;
    return node;
  };
}
