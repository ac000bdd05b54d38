// A dataset's page: what is in each column, how it relates to a target, warnings, and a job to train on it.

import { request } from "./api.js";
import { attempt, element, fill } from "./element.js";
import { bytes, moment, number } from "./format.js";
import { useAsDraft } from "./home.js";

const PAGE_COLUMNS = 50;
const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [240, 48];
const SHOWN_VALUES = 5;

/** Opens the page of dataset `id` in `root`. Returns a function that closes it. */
export function openDataset(root, id) {
  const path = `v1/datasets/${id}`;
  const part = fill(root, "dataset");
  let latest = 0;

  const load = (offset) => attempt(part.problem, async () => {
    const mine = ++latest;
    part.busy.hidden = false;
    try {
      const query = new URLSearchParams({ limit: PAGE_COLUMNS, offset, ...(part.target.value && { target: part.target.value }) });
      const profile = await request("GET", `${path}/profile?${query}`);
      if (mine === latest) show(part, profile, offset, load);
    } finally {
      if (mine === latest) part.busy.hidden = true;
    }
  });

  attempt(part.problem, async () => {
    const dataset = await request("GET", path);
    const name = dataset.name ?? dataset.id;
    document.title = `${name} · Chainrule`;
    part.name.textContent = name;
    part.facts.replaceChildren(
      `${dataset.rows.toLocaleString()} rows · ${dataset.columns.length.toLocaleString()} columns · ${bytes(dataset.bytes)} · ${dataset.format} · `,
      element("code", {}, dataset.id));
    const targets = dataset.columns.filter(({ type }) => type === "number" || type === "category");
    part.target.append(element("option", { value: "" }, "none"), ...targets.map(({ name: each }) => element("option", {}, each)));
    part.target.onchange = () => load(0);
    part.train.onclick = () => {
      const target = part.target.value || likelyTarget(targets);
      useAsDraft({ name, data: { type: "dataset", id: dataset.id, ...(target && { target }), validation: { fraction: 0.2 } } });
      location.hash = "#/";
    };
    part.body.hidden = false;
    await load(0);
  });
  return () => { latest = -1; };
}

/** The column named like a target, or else the last. */
const likelyTarget = (columns) => (columns.find(({ name }) => ["label", "target", "y"].includes(name)) ?? columns.at(-1))?.name;

/** Shows a page of a profile; further pages are added to the columns that are there. */
function show(part, profile, offset, load) {
  const cards = profile.columns.map(columnCard);
  if (offset === 0) {
    part.columns.replaceChildren(...cards);
    part.warnings.replaceChildren();
  } else part.columns.append(...cards);
  part.warnings.append(...profile.warnings.map(({ code, message }) =>
    element("li", {}, element("code", {}, code), ` ${message}`)));
  part.rows.textContent = [
    profile.profiled_rows < profile.rows ? `from ${profile.profiled_rows.toLocaleString()} of the rows` : "from all rows",
    ...(profile.duplicates ? [`${profile.duplicates.rows.toLocaleString()} repeat an earlier one`] : []),
  ].join(" · ");
  part.classes.replaceChildren(...(profile.target?.classes.length
    ? [element("h3", {}, `Classes of ${profile.target.column}`), valueBars(profile.target.classes, profile.rows)] : []));
  part.more.hidden = profile.next_offset === null;
  part.more.onclick = () => load(profile.next_offset);
}

function columnCard(column) {
  const present = column.rows - column.missing;
  const lines = [
    ...(column.missing ? [`${column.missing.toLocaleString()} missing (${percent(column.missing / column.rows)})`] : []),
    ...(column.distinct ? [`${column.distinct.toLocaleString()} different`] : []),
    ...(column.type === "number" && column.mean !== null ? [`mean ${number(column.mean)}, deviation ${number(column.std)}`] : []),
    ...(column.outliers?.count ? [`${column.outliers.count.toLocaleString()} outliers`] : []),
    ...(column.characters ? [`${range(column.characters)} characters, ${range(column.words)} words`] : []),
    ...(column.pictures ? [`${range(column.pictures.widths)} × ${range(column.pictures.heights)} pixels`, `channels: ${listed(column.pictures.channels)}`] : []),
    ...(column.recordings ? [`${range(column.recordings.seconds)} seconds`, `${listed(column.recordings.rates)} Hz`] : []),
    ...(column.association ? [`${column.association.measure.replaceAll("_", " ")} with the target: ${number(column.association.value, 2)}`] : []),
  ];
  return element("li", { class: "column" },
    element("h3", {}, column.name, " ", element("span", { class: "badge" }, column.shape.length && column.type === "number" ? `array ${column.shape.join(" × ")}` : column.type)),
    ...(column.histogram ? [histogram(column)] : column.top?.length ? [valueBars(column.top.slice(0, SHOWN_VALUES), present, column.type)] : []),
    element("p", { class: "quiet" }, lines.join(" · ")));
}

/** Returns a drawing of a histogram, with its range below. */
function histogram({ name, type, histogram: { edges, counts }, min, max }) {
  const shown = type === "datetime" ? moment : number;
  const most = Math.max(...counts);
  const width = WIDTH / counts.length;
  const text = `Histogram of ${name}, from ${shown(min)} to ${shown(max)}`;
  const bars = counts.map((count, at) => {
    const height = Math.max(count ? 1 : 0, (HEIGHT * count) / most);
    const bar = drawn("rect", { x: at * width, y: HEIGHT - height, width: Math.max(1, width - 1), height });
    const title = drawn("title");
    title.textContent = `${shown(edges[at])} to ${shown(edges[at + 1])}: ${count.toLocaleString()}`;
    bar.append(title);
    return bar;
  });
  return element("div", { class: "histogram" },
    drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": text }, ...bars),
    element("div", { class: "ends quiet" }, element("span", {}, shown(min)), element("span", {}, shown(max))));
}

/** Returns values with their counts as bars, in parts of `rows`. */
function valueBars(values, rows, type) {
  const shown = type === "datetime" ? moment : number;
  return element("ul", { class: "values" }, ...values.map(({ value, count }) => element("li", {},
    element("span", { class: "value", title: String(value) }, value === "" ? "(empty)" : typeof value === "number" ? shown(value) : value),
    element("meter", { min: 0, max: Math.max(1, rows), value: count, "aria-label": `Rows of ${value}` }),
    element("span", { class: "quiet" }, percent(count / Math.max(1, rows))))));
}

function drawn(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const percent = (part) => `${number(100 * part, 2)} %`;
const range = ({ min, max }) => (min === max ? number(min) : `${number(min)}–${number(max)}`);
const listed = (values) => values.map(({ value }) => number(value, 8)).join(", ");
