// The learning curve: a metric by step for each split, drawn by uPlot while rows arrive.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { number } from "./format.js";

const SPLITS = ["train", "validation", "test"];

/** Distances between ticks: uPlot's defaults end at 1e16, which a diverging loss exceeds. */
const INCREMENTS = Array.from({ length: 320 }, (_, at) => at - 16)
  .flatMap((power) => [1, 2, 2.5, 5].map((digit) => Number(`${digit}e${power}`)));

/** A chart in the element `box`: `add(row)` adds a point, `show(name, log)` selects the metric and the scale. */
export class Chart {
  #box; #plot = null; #series = new Map(); #name = "loss"; #log = false; #frame = 0; #watch; #dark;

  constructor(box) {
    this.#box = box;
    this.#watch = new ResizeObserver(() => this.#plot?.setSize(size(box)));
    this.#watch.observe(box);
    this.#dark = matchMedia("(prefers-color-scheme: dark)");
    this.#dark.addEventListener("change", this.#rebuild);
  }

  /** The names of the metrics so far, the loss first. */
  get names() {
    return [...this.#series.keys()].sort((a, b) => (b === "loss") - (a === "loss") || a.localeCompare(b));
  }

  /** Adds a row {name, split, step, value}; `val_loss` is a series of `loss`. A newer row of the same step replaces it. */
  add({ name: full, split, step, value }) {
    const name = full.replace(/^val_/, "");
    if (!this.#series.has(name)) this.#series.set(name, new Map());
    const splits = this.#series.get(name);
    if (!splits.has(split)) splits.set(split, [[], []]);
    const [steps, values] = splits.get(split);
    if (steps.at(-1) === step) steps.pop(), values.pop();
    steps.push(step);
    values.push(value);
    this.#scheduleDraw();
  }

  show(name, log) {
    [this.#name, this.#log] = [name, log];
    this.#rebuild();
  }

  close() {
    cancelAnimationFrame(this.#frame);
    this.#watch.disconnect();
    this.#dark.removeEventListener("change", this.#rebuild);
    this.#plot?.destroy();
  }

  #rebuild = () => {
    this.#plot?.destroy();
    this.#plot = null;
    this.#scheduleDraw();
  };

  /** Draws once before the next frame, for any number of added rows. */
  #scheduleDraw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw() {
    const splits = SPLITS.filter((split) => this.#series.get(this.#name)?.has(split));
    if (splits.length === 0) return;
    const data = uPlot.join(splits.map((split) => this.#drawable(split)));
    if (this.#plot?.series.length !== splits.length + 1) {
      this.#plot?.destroy();
      this.#plot = new uPlot(this.#options(splits), data, this.#box);
    } else this.#plot.setData(data);
    if (this.#plot.cursor.idx == null) this.#plot.setLegend({ idx: null });
    const values = splits.map((split, at) => `${split} ${number(last(data[at + 1]))}`);
    this.#box.setAttribute("aria-label", `${this.#name} at step ${last(data[0])}: ${values.join(", ")}`);
  }

  /** The series to draw: on a logarithmic scale without values of zero or less. */
  #drawable(split) {
    const [steps, values] = this.#series.get(this.#name).get(split);
    return [steps, this.#log ? values.map((value) => (value > 0 ? value : null)) : values];
  }

  #options(splits) {
    const style = getComputedStyle(this.#box);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();
    const axis = {
      stroke: color("quiet"),
      grid: { stroke: color("line"), width: 1 },
      ticks: { stroke: color("line"), width: 1 },
      font: `12px ${style.fontFamily}`,
    };
    return {
      ...size(this.#box),
      scales: { x: { time: false }, y: { distr: this.#log ? 3 : 1 } },
      axes: [axis, {
        ...axis,
        size: (_, labels) => labelWidth(labels),
        incrs: INCREMENTS,
        values: (_, ticks) => ticks.map((tick) => number(tick)),
        ...(this.#log && { splits: (_, at, min, max) => decades(min, max), filter: (_, ticks) => ticks }),
      }],
      series: [
        { label: "step", value: legendValue },
        ...splits.map((split) => ({
          label: split,
          stroke: color(split),
          width: 1.5,
          points: { show: false },
          value: legendValue,
        })),
      ],
    };
  }
}

const size = ({ clientWidth: width }) => ({ width, height: Math.min(400, Math.max(260, 0.56 * width)) });

/** The width in pixels that the longest label needs: a character of the axis font is at most 8 pixels wide. */
export const labelWidth = (labels) => Math.max(64, 20 + 8 * Math.max(0, ...(labels ?? []).map((label) => label.length)));

/** Ticks of a logarithmic axis: about ten powers of ten at most; 1, 2 and 5 of each power if there are few. */
function decades(min, max) {
  const [low, high] = [Math.floor(Math.log10(min)), Math.ceil(Math.log10(max))];
  const every = Math.ceil((high - low) / 10);
  const digits = high - low > 3 ? [1] : [1, 2, 5];
  const ticks = [];
  for (let power = low; power <= high; power += every) ticks.push(...digits.map((digit) => Number(`${digit}e${power}`)));
  return ticks.filter((tick) => tick >= min && tick <= max);
}

const last = (values) => values.findLast((value) => value != null);

/** The value that the legend shows: the one under the pointer, else the newest. */
const legendValue = (plot, value, at, under) => number(under == null ? last(plot.data[at]) : value);
