// A job's page: how far it is, how its loss falls, what it can be told to do, and what it answers.

import { TERMINAL, ask, follow } from "./api.js";
import { Chart } from "./chart.js";
import { attempt, badge, element, fill } from "./element.js";
import { question } from "./examples.js";
import { clock, duration, number, pretty } from "./format.js";

const HISTORY_POINTS = 2000;
const REFRESH_MS = 1000;
const RETRY_MS = 2000;

const ACTIONS = [
  { label: "Pause", method: "POST", path: "/pause", from: ["queued", "running"] },
  { label: "Resume", method: "POST", path: "/resume", from: ["paused"] },
  { label: "Cancel", method: "POST", path: "/cancel", from: ["queued", "running", "pausing", "paused"] },
  { label: "Delete", method: "DELETE", path: "", from: [...TERMINAL], confirm: "Delete this job with its metrics and its net?" },
];

/** Opens the page of job `id` in `root`; the function that comes back closes it. */
export function openJob(root, id) {
  const path = `v1/jobs/${id}`;
  const part = fill(root, "job");
  const chart = new Chart(part.chart);
  const closing = [() => chart.close()];
  let waiting = null, closed = false;

  /** Does `work` once, however often it is asked for meanwhile. */
  const later = (work, ms) => {
    if (closed) return;
    waiting ??= setTimeout(() => {
      waiting = null;
      work();
    }, ms);
  };
  const refresh = () => attempt(part.trouble, async () => show(part, await ask("GET", path)));
  const act = (action) => attempt(part.refused, async () => {
    if (action.confirm && !confirm(action.confirm)) return;
    await ask(action.method, path + action.path);
    if (action.method === "DELETE") location.hash = "#/";
    else refresh();
  });
  const take = (row) => {
    chart.add(row);
    offer(part, chart);
  };
  const start = () => attempt(part.trouble, async () => {
    try {
      const job = await ask("GET", path);
      show(part, job);
      const history = await ask("GET", `${path}/metrics?points=${HISTORY_POINTS}`);
      part.instances.value ||= pretty(question(job.spec));
      history.items.forEach(take);
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
        take(row);
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
  openAsk(part, path);
  openScale(part, chart);
  start();
  return () => {
    closed = true;
    clearTimeout(waiting);
    closing.forEach((close) => close());
  };
}

/** Shows the job as the service tells it. */
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
  part.story.replaceChildren(...job.transitions.map(({ status: entered, at, actor, message }) =>
    element("li", {}, badge(entered), " ", element("time", { datetime: at, title: actor }, clock(at)), ` ${message}`)));
  part.facts.replaceChildren(...facts(job).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  part.spec.textContent = pretty(job.spec);
}

const facts = ({ latest, best, weights_sha256: weights }) => [
  ...Object.entries(latest ?? {}).map(([name, value]) => [name, number(value)]),
  ...(best ? [[`best ${best.metric}`, `${number(best.value)} in epoch ${best.epoch}`]] : []),
  ...(weights ? [["weights", element("code", { title: weights }, weights.slice(0, 12))]] : []),
];

/** Keeps the choice of metrics beside the chart's rows. */
function offer(part, chart) {
  if (part.metric.options.length === chart.names.length) return;
  const chosen = part.metric.value;
  part.metric.replaceChildren(...chart.names.map((name) => element("option", {}, name)));
  part.metric.value = chart.names.includes(chosen) ? chosen : chart.names[0];
  part.metric.onchange();
}

function openScale(part, chart) {
  part.metric.onchange = part.log.onchange = () => chart.show(part.metric.value, part.log.checked);
}

function openAsk(part, path) {
  part.instances = part.ask.querySelector("textarea");
  part.ask.onsubmit = (event) => {
    event.preventDefault();
    attempt(part.answers, async () => {
      // The text goes as it was typed: what is wrong with it the service says.
      const { predictions } = await ask("POST", `${path}/predictions`, `{"instances": ${part.instances.value}}`);
      const instances = JSON.parse(part.instances.value);
      return element("ul", { class: "answers" }, ...predictions.map((each, at) => answer(instances[at], each)));
    });
  };
}

function answer(instance, { value, label, probabilities, warnings = [] }) {
  const words = label === undefined ? pretty(rounded(value)) : `${label} (${number(100 * probabilities[label], 3)} %)`;
  return element("li", {},
    element("code", {}, pretty(instance)), " → ", element("strong", {}, words),
    ...warnings.map((warning) => element("small", {}, ` ${warning}`)));
}

const rounded = (value) => (Array.isArray(value) ? value.map(rounded) : Number(number(value, 5)));
