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

/** Returns instances to predict with a job of this spec: those of its example, or the first training instance. */
export function suggestedInstances(spec) {
  const example = EXAMPLES.find((each) => each.spec.name === spec.name);
  if (example) return example.instances;
  if (spec.data.type === "inline") return Array.isArray(spec.data.x) ? spec.data.x.slice(0, 1) : [];
  const features = [spec.data.features ?? []].flat();
  return features.length ? [Object.fromEntries(features.map((name) => [name, null]))] : [];
}
