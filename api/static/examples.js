// Example jobs: a spec, its description, and instances to predict once it is trained.

const dense = (units, activation) => ({ type: "dense", units, ...(activation && { activation }) });

export const EXAMPLES = [
  {
    description: "Five points of y = 2x. The network has one weight, which training moves to 2.",
    instances: [[6]],
    spec: {
      name: "y = 2x",
      data: { type: "inline", x: [[1], [2], [3], [4], [5]], y: [[2], [4], [6], [8], [10]] },
      architecture: { layers: [{ type: "dense", units: 1, use_bias: false }] },
      loss: { type: "mean_squared_error" },
      optimizer: { type: "sgd", learning_rate: 0.01 },
      training: { epochs: 100, batch_size: 5, shuffle: false, seed: 7 },
    },
  },
  {
    description: "Exclusive or. No straight line separates the two classes of these four points: it takes a hidden layer.",
    instances: [[0, 0], [0, 1], [1, 0], [1, 1]],
    spec: {
      name: "xor",
      data: { type: "builtin", name: "xor" },
      architecture: { layers: [dense(8, "tanh"), dense(1)] },
      loss: { type: "binary_cross_entropy" },
      optimizer: { type: "adam", learning_rate: 0.05 },
      training: { epochs: 200, batch_size: 4, seed: 7 },
    },
  },
  {
    description: "Two interleaved spirals. A fifth of the points is held out for validation.",
    instances: [[0.5, 0], [-0.5, 0]],
    spec: {
      name: "spirals",
      data: { type: "builtin", name: "spirals", validation: { fraction: 0.2 } },
      architecture: { layers: [dense(64, "relu"), dense(64, "relu"), dense(1)] },
      loss: { type: "binary_cross_entropy" },
      optimizer: { type: "adam", learning_rate: 0.01 },
      training: { epochs: 200, batch_size: 32, seed: 7 },
    },
  },
];

const POINTS = { linear: [[6]], sine: [[1]] };
const POINT_IN_THE_PLANE = [[0.5, 0]];
const nameOf = (feature) => (typeof feature === "string" ? feature : feature?.column);

/**
 * Returns instances to predict with a job of this spec: those of the example with its data, the first training row, or
 * the first row of its dataset, which `get(path)` reads.
 */
export async function suggestedInstances({ data }, get) {
  const example = EXAMPLES.find(({ spec }) => JSON.stringify(spec.data) === JSON.stringify(data));
  if (example) return example.instances;
  if (data.type === "inline") return Array.isArray(data.x) ? data.x.slice(0, 1) : [];
  if (data.type === "builtin") return POINTS[data.name] ?? POINT_IN_THE_PLANE;
  const [{ columns }, { items: [row] }] = await Promise.all([
    get(`v1/datasets/${data.id}`), get(`v1/datasets/${data.id}/rows?limit=1`)]);
  const taken = new Set([data.target, data.sample_weight, ...(data.features ? [] : [data.split?.column])].map(nameOf));
  const learnt = data.features?.map(nameOf)
    ?? columns.filter(({ type, name }) => type !== "text" && !taken.has(name)).map(({ name }) => name);
  return row ? [Object.fromEntries(learnt.map((name) => [name, row[name] ?? null]))] : [];
}
