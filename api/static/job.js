// A job's page: how far it is, how its loss falls, what it can be told to do, and what it answers.

import { Problem, TERMINAL, ask, follow } from "./api.js";
import { Chart } from "./chart.js";
import { badge, element, fill, refusal } from "./element.js";
import { question } from "./examples.js";
import { clock, duration, number, pretty } from "./format.js";

const HISTORY_POINTS = 2000;
const REFRESH_MS = 1000;

const ACTIONS = [
  { label: "Pause", method: "POST", path: "/pause", from: ["queued", "running"] },
  { label: "Resume", method: "POST", path: "/resume", from: ["paused"] },
  { label: "Cancel", method: "POST", path: "/cancel", from: ["queued", "running", "pausing", "paused"] },
  { label: "Delete", method: "DELETE", path: "", from: [...TERMINAL], confirm: "Delete this job with its metrics and its net?" },
];

/** Opens the page of job `id` in `root`; the function that comes back closes it. */
export function openJob(root, id) {
  const part = fill(root, "job");
  const chart = new Chart(part.chart);
  const closing = [() => chart.close()];
  let timer = 0, closed = false;

  const guarded = (work) => async (...given) => {
    try {
      part.trouble.replaceChildren();
      return await work(...given);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (!closed) part.trouble.replaceChildren(refusal(problem));
      return null;
    }
  };
  const refresh = guarded(async () => {
    const job = await ask("GET", `v1/jobs/${id}`);
    if (!closed) show(part, job, act);
    return job;
  });
  const soon = () => {
    timer ||= setTimeout(() => {
      timer = 0;
      if (!closed) refresh();
    }, REFRESH_MS);
  };
  const act = guarded(async ({ method, path, confirm: words }) => {
    if (words && !confirm(words)) return;
    await ask(method, `v1/jobs/${id}${path}`);
    if (method === "DELETE") location.hash = "#/";
    else await refresh();
  });

  openAsk(part, id);
  openScale(part, chart);
  start();
  return () => {
    closed = true;
    clearTimeout(timer);
    closing.forEach((close) => close());
  };

  async function start() {
    const job = await refresh();
    if (job === null || closed) return;
    part.instances.value = pretty(question(job.spec));
    const history = await guarded(() => ask("GET", `v1/jobs/${id}/metrics?points=${HISTORY_POINTS}`))();
    if (history === null || closed) return;
    const take = (row) => {
      chart.add(row);
      offer(part, chart);
    };
    history.items.forEach(take);
    if (TERMINAL.has(job.status)) return;
    const stop = follow(id, Math.max(0, ...history.items.map(({ seq }) => seq)), {
      onmetric: (row) => { take(row); soon(); },
      onstatus: ({ status }) => { if (TERMINAL.has(status)) stop(); refresh(); },
    });
    closing.push(stop);
  }
}

/** Shows the job as the service tells it. */
function show(part, job, act) {
  const { status, progress } = job;
  document.title = `${job.name || job.id} · Chainrule`;
  part.body.hidden = false;
  part.name.textContent = job.name || job.id;
  part.badge.replaceChildren(badge(status));
  part.id.textContent = job.id;
  part.bar.value = progress.fraction ?? 0;
  part.progress.textContent = [
    `epoch ${progress.epoch} of ${progress.epochs}`,
    `step ${progress.step}`,
    ...(progress.seconds_left > 0 && !TERMINAL.has(status) ? [`${duration(progress.seconds_left)} left`] : []),
  ].join(" · ");
  part.actions.replaceChildren(...ACTIONS.map((action) =>
    element("button", { type: "button", disabled: !action.from.includes(status), onclick: () => act(action) }, action.label)));
  part.notice.hidden = !job.error && !job.stop_reason;
  part.notice.classList.toggle("bad", Boolean(job.error));
  part.notice.textContent = job.error?.message ?? job.error?.detail ?? (job.stop_reason ?? "").replaceAll("_", " ");
  part.story.replaceChildren(...job.transitions.map(({ status: entered, at, actor, message }) =>
    element("li", {}, badge(entered), " ", element("time", { datetime: at }, clock(at)), ` ${[message, actor].filter(Boolean).join(" · ")}`)));
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

function openAsk(part, id) {
  part.instances = part.ask.querySelector("textarea");
  part.ask.onsubmit = async (event) => {
    event.preventDefault();
    try {
      // The text goes as it was typed: what is wrong with it the service says.
      const { predictions } = await ask("POST", `v1/jobs/${id}/predictions`, `{"instances": ${part.instances.value}}`);
      const instances = JSON.parse(part.instances.value);
      part.answers.replaceChildren(element("ul", { class: "answers" },
        ...predictions.map((prediction, at) => answer(instances[at], prediction))));
    } catch (problem) {
      part.answers.replaceChildren(refusal(problem));
    }
  };
}

function answer(instance, { value, label, probabilities, warnings = [] }) {
  const words = label === undefined ? pretty(rounded(value)) : `${label} (${number(100 * probabilities[label], 3)} %)`;
  return element("li", {},
    element("code", {}, pretty(instance)), " → ", element("strong", {}, words),
    ...warnings.map((warning) => element("small", {}, ` ${warning.message ?? warning}`)));
}

const rounded = (value) => (Array.isArray(value) ? value.map(rounded) : Number(number(value, 5)));
