// The first page: post a job, and see the jobs that there are.

import { STATUSES, ask, repeat } from "./api.js";
import { attempt, badge, element, fill } from "./element.js";
import { EXAMPLES } from "./examples.js";
import { ago, number, pretty } from "./format.js";
import { locate } from "./pointer.js";

const LIST_MS = 2000;
const PAGE = 20;
const MOST = 100;

/** The text in the editor, kept while other pages are open. */
let draft = pretty(EXAMPLES[0].spec);

/** Opens the page in `root`; the function that comes back closes it. */
export function openHome(root) {
  fill(root, "home");
  document.title = "Chainrule";
  openForm(root);
  return openList(root);
}

function openForm(root) {
  const [editor, verdict, lesson] = ["#spec", "#verdict", ".lesson"].map((name) => root.querySelector(name));
  const write = (text) => {
    editor.value = draft = text;
    editor.rows = Math.min(24, text.split("\n").length + 1);
    verdict.replaceChildren();
  };
  const choose = ({ spec, lesson: words }) => {
    write(pretty(spec));
    lesson.textContent = words;
  };
  const submit = (path, accept) =>
    attempt(verdict, async () => accept(await ask("POST", path, editor.value)), (pointer) => select(editor, pointer));
  root.querySelector(".examples").append(...EXAMPLES.map((example) =>
    element("button", { type: "button", onclick: () => choose(example) }, example.spec.name)));
  write(draft);
  lesson.textContent = EXAMPLES.find(({ spec }) => pretty(spec) === draft)?.lesson ?? "";
  editor.oninput = () => { draft = editor.value; };
  root.querySelector("#post").onsubmit = (event) => {
    event.preventDefault();
    submit("v1/jobs", (job) => { location.hash = `#/jobs/${job.id}`; });
  };
  root.querySelector("#check").onclick = () => submit("v1/jobs/validate", costs);
}

/** Marks the part of the text that the pointer names, and brings it into sight. */
function select(editor, pointer) {
  const [start, end] = locate(editor.value, pointer);
  const above = editor.value.slice(0, start).split("\n").length - 1;
  editor.focus();
  editor.setSelectionRange(start, end);
  editor.scrollTop = (above - 2) * parseFloat(getComputedStyle(editor).lineHeight);
}

/** What the service says of a job that it would take. */
function costs({ parameters, layers, steps, flops, warnings = [] }) {
  return element("div", { class: "estimate" },
    element("p", {}, `It fits. Weights: ${number(parameters, 8)}, steps: ${number(steps, 8)}, FLOPs a step: ${number(flops)}.`),
    element("ul", {}, ...layers.map(({ pointer, type, output_shape }) =>
      element("li", {}, element("code", {}, pointer), ` ${type} → (${output_shape.join(", ")})`))),
    ...warnings.map((warning) => element("p", {}, warning)));
}

function openList(root) {
  const part = Object.fromEntries(["filter", "more"].map((name) => [name, root.querySelector(`#${name}`)]));
  const [list, empty, trouble] = [".jobs", ".empty", ".trouble"].map((name) => root.querySelector(name));
  const rows = new Map();
  let older = [], cursor = null, shown = PAGE;

  const page = (limit, from) => {
    const query = new URLSearchParams({ limit, ...(part.filter.value && { status: part.filter.value }), ...(from && { cursor: from }) });
    return ask("GET", `v1/jobs?${query}`);
  };
  // The newest hundred stay live; what was loaded beyond them stays as it was.
  const refresh = () => attempt(trouble, async () => {
    const live = await page(Math.min(shown, MOST));
    if (shown <= MOST) cursor = live.next_cursor;
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
  const more = () => attempt(trouble, async () => {
    shown += PAGE;
    if (shown > MOST) {
      const next = await page(PAGE, cursor);
      [older, cursor] = [[...older, ...next.items], next.next_cursor];
    }
    await refresh();
  });
  part.filter.append(element("option", { value: "" }, "all"), ...STATUSES.map((status) => element("option", {}, status)));
  part.filter.onchange = () => {
    [older, shown] = [[], PAGE];
    refresh();
  };
  part.more.onclick = more;
  return repeat(refresh, LIST_MS);
}

/** A job's row: a function that shows the job in it. The row itself stays, and with it the reader's focus. */
function openRow(id) {
  const [name, state, words] = ["name", "state", "quiet"].map((part) => element("span", { class: part }));
  const bar = element("progress", { max: 1, value: 0, "aria-label": "Progress" });
  const node = element("li", {}, element("a", { href: `#/jobs/${id}` }, name, state, bar, words));
  return (job) => {
    name.textContent = job.name ?? id;
    state.replaceChildren(badge(job.status));
    bar.value = job.progress.fraction;
    words.textContent = `loss ${number(job.latest.loss)} · ${ago(job.created_at)}`;
    return node;
  };
}
