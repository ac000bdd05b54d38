// A job's page: progress, learning curve, actions, predictions, history and spec.

import { Problem, TERMINAL, follow, request } from "./api.js";
import { Chart } from "./chart.js";
import { attempt, badge, element, fill } from "./element.js";
import { suggestedInstances } from "./examples.js";
import { useAsDraft } from "./home.js";
import { clock, duration, number, pretty } from "./format.js";

const HISTORY_POINTS = 2000;
const REFRESH_MS = 1000;
const DRAWN_CLASSES = 20;
const RETRY_MS = 2000;

const ACTIONS = [
  { label: "Pause", method: "POST", path: "/pause", from: ["queued", "running"] },
  { label: "Resume", method: "POST", path: "/resume", from: ["paused"] },
  { label: "Cancel", method: "POST", path: "/cancel", from: ["queued", "running", "pausing", "paused"] },
  { label: "Delete", method: "DELETE", path: "", from: [...TERMINAL], confirm: "Delete this job with its metrics and its model?" },
];

/** Opens the page of job `id` in `root`. Returns a function that closes it. */
export function openJob(root, id) {
  const path = `v1/jobs/${id}`;
  const part = fill(root, "job");
  const chart = new Chart(part.chart);
  const closing = [() => chart.close()];
  let timer = null, closed = false;

  /** Runs `work` once after `ms`, for any number of calls until then. */
  const later = (work, ms) => {
    if (closed) return;
    timer ??= setTimeout(() => {
      timer = null;
      work();
    }, ms);
  };
  const refresh = () => attempt(part.problem, async () => show(part, await request("GET", path)));
  const act = (action) => attempt(part.actionProblem, async () => {
    if (action.confirm && !confirm(action.confirm)) return;
    await request(action.method, path + action.path);
    if (action.method === "DELETE") location.hash = "#/";
    else refresh();
  });
  const addRow = (row) => {
    chart.add(row);
    updateMetricChoice(part, chart);
  };
  const start = () => attempt(part.problem, async () => {
    try {
      const job = await request("GET", path);
      show(part, job);
      const history = await request("GET", `${path}/metrics?points=${HISTORY_POINTS}`);
      history.items.forEach(addRow);
      suggest(part, job.spec);
      if (closed || TERMINAL.has(job.status)) return;
      watch(Math.max(0, ...history.items.map(({ seq }) => seq)));
    } catch (problem) {
      if (problem.status !== 404) later(start, RETRY_MS);
      throw problem;
    }
  });
  const watch = (after) => {
    const stop = follow(id, after, {
      onmetric: (row) => {
        addRow(row);
        later(refresh, REFRESH_MS);
      },
      onstatus: ({ status }) => {
        if (TERMINAL.has(status)) stop();
        refresh();
      },
    });
    closing.push(stop);
  };

  part.actions.append(...ACTIONS.map((action) =>
    element("button", { type: "button", disabled: true, onclick: () => act(action) }, action.label)));
  openPrediction(part, path);
  openSpecControls(part);
  openChartControls(part, chart);
  start();
  return () => {
    closed = true;
    clearTimeout(timer);
    closing.forEach((close) => close());
  };
}

/** Writes an instance of the job's own data into the form, unless it is filled or the data is not there any more. */
async function suggest(part, spec) {
  try {
    const instances = await suggestedInstances(spec, (path) => request("GET", path));
    part.instances.value ||= pretty(instances);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
  }
}

/** Shows a job as the service returned it. */
function show(part, job) {
  const { status, progress } = job;
  document.title = `${job.name ?? job.id} · Chainrule`;
  part.body.hidden = false;
  part.name.textContent = job.name ?? job.id;
  part.badge.replaceChildren(badge(status));
  part.id.textContent = job.id;
  part.bar.value = progress.fraction;
  part.progress.textContent = [
    `epoch ${progress.epoch} of ${progress.epochs}`,
    `step ${progress.step}`,
    ...(progress.seconds_left ? [`${duration(progress.seconds_left)} left`] : []),
    ...(job.stop_reason ? [job.stop_reason.replaceAll("_", " ")] : []),
  ].join(" · ");
  ACTIONS.forEach(({ from }, at) => { part.actions.children[at].disabled = !from.includes(status); });
  part.error.textContent = job.error?.message ?? "";
  part.warnings.replaceChildren(...job.warnings.map(({ pointer, message }) =>
    element("li", {}, element("code", {}, pointer), ` ${message}`)));
  part.history.replaceChildren(...job.transitions.map(({ status: entered, at, actor, message }) =>
    element("li", {}, badge(entered), " ", element("time", { datetime: at, title: actor }, clock(at)), job.error && message.includes(job.error.message) ? "" : ` ${message}`)));
  part.matrix.replaceChildren(...confusionMatrix(job.confusion_matrix));
  part.facts.replaceChildren(...facts(job).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  part.spec.textContent = pretty(job.spec);
}

const facts = ({ latest, best, weights_sha256: weights }) => [
  ...Object.entries(latest ?? {}).map(([name, value]) => [name, number(value)]),
  ...(best ? [[`best ${best.metric}`, `${number(best.value)} in epoch ${best.epoch}`]] : []),
  ...(weights ? [["weights", element("code", { title: weights }, weights.slice(0, 12))]] : []),
];

/** Returns a table of the confusion matrix of the weights that predict, of the held-out rows where there are any. */
function confusionMatrix(matrices) {
  if (!matrices) return [];
  const { classes, best } = matrices;
  const matrix = { ...(best ?? matrices), test: matrices.test };
  const split = ["test", "validation", "train"].find((each) => matrix[each]);
  const weights = best || matrices.test ? `the best weights${best ? `, epoch ${best.epoch}` : ""}` : "the last epoch";
  const caption = element("caption", {}, `Confusion matrix of ${weights}, ${split} rows: true classes in rows, predicted in columns`);
  if (classes.length > DRAWN_CLASSES) return [element("p", { class: "quiet" }, `The confusion matrix has ${classes.length} classes: GET v1/jobs has it.`)];
  return [element("table", { class: "matrix" }, caption,
    element("thead", {}, element("tr", {}, element("td"), ...classes.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...matrix[split].map((counts, row) => {
      const most = Math.max(1, ...counts);
      return element("tr", {}, element("th", { scope: "row" }, classes[row]),
        ...counts.map((count) => element("td", { class: `share${Math.round(4 * count / most)}` }, String(count))));
    })))];
}

/** Updates the choice of metrics to those of the chart. */
function updateMetricChoice(part, chart) {
  if (part.metric.options.length === chart.names.length) return;
  const chosen = part.metric.value;
  part.metric.replaceChildren(...chart.names.map((name) => element("option", {}, name)));
  part.metric.value = chart.names.includes(chosen) ? chosen : chart.names[0];
  part.metric.onchange();
}

function openChartControls(part, chart) {
  part.metric.onchange = part.log.onchange = () => chart.show(part.metric.value, part.log.checked);
}

function openSpecControls(part) {
  part.copy.onclick = async () => {
    try {
      await navigator.clipboard.writeText(part.spec.textContent);
      part.copy.textContent = "Copied";
    } catch { // a page over plain HTTP from another machine has no clipboard
      getSelection().selectAllChildren(part.spec);
      part.copy.textContent = "Selected: press Ctrl-C";
    }
  };
  part.reuse.onclick = () => {
    useAsDraft(JSON.parse(part.spec.textContent));
    location.hash = "#/";
  };
}

function openPrediction(part, path) {
  part.instances = part.predict.querySelector("textarea");
  part.predict.onsubmit = (event) => {
    event.preventDefault();
    attempt(part.predictions, async () => {
      // The text is sent as typed: the service validates it.
      const { predictions } = await request("POST", `${path}/predictions`, `{"instances": ${part.instances.value}}`);
      const instances = JSON.parse(part.instances.value);
      return element("ul", { class: "predictions" }, ...predictions.map((each, at) => prediction(instances[at], each)));
    });
  };
}

function prediction(instance, { value, label, probabilities, warnings = [] }) {
  const text = label === undefined ? pretty(rounded(value)) : `${label} (${number(100 * probabilities[label], 3)} %)`;
  return element("li", {},
    element("code", {}, pretty(instance)), " → ", element("strong", {}, text),
    ...warnings.map(({ message }) => element("small", {}, ` ${message}`)));
}

const rounded = (value) => (Array.isArray(value) ? value.map(rounded) : Number(number(value, 5)));
