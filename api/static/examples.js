// Jobs to start from: each teaches one thing, and knows what to ask once it is trained.

const dense = (units, activation) => ({ type: "dense", units, ...(activation && { activation }) });

export const EXAMPLES = [
  {
    lesson: "Five points on a line. The net has one weight, and finds that it is 2.",
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
    lesson: "One or the other, but not both. No line parts these four points: it takes a hidden layer.",
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
    lesson: "Two arms wound around each other. A fifth of the points is held back to see what was understood.",
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

/** What to ask a job of this spec: its example's question, or the first thing that it learnt from. */
export function question(spec) {
  const example = EXAMPLES.find((each) => each.spec.name === spec.name);
  if (example) return example.instances;
  if (spec.data.type === "inline") return spec.data.x.slice(0, 1);
  const features = [spec.data.features ?? []].flat();
  return features.length ? [Object.fromEntries(features.map((name) => [name, null]))] : [];
}
