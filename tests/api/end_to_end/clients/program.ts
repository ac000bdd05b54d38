// Posts y = 2x with the client that openapi-typescript makes, follows the job to its end, and predicts.
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

declare const process: { argv: string[] };

const client = createClient<paths>({ baseUrl: process.argv[2] });
const created = await client.POST("/v1/jobs", {
  body: {
    data: { type: "inline", x: [[1], [2], [3], [4], [5]], y: [[2], [4], [6], [8], [10]] },
    architecture: { layers: [{ type: "dense", units: 1, use_bias: false }] },
    loss: { type: "mean_squared_error" },
    optimizer: { type: "sgd", learning_rate: 0.01 },
    training: { epochs: 100, batch_size: 5, shuffle: false, seed: 7 },
    metadata: { client: "typescript" },
  },
});
if (!created.data) throw new Error(created.error.detail);
const path = { job_id: created.data.id };
const events = await client.GET("/v1/jobs/{job_id}/events", { params: { path }, parseAs: "text" });
const job = await client.GET("/v1/jobs/{job_id}", { params: { path } });
const listed = await client.GET("/v1/jobs", { params: { query: { metadata: { client: "typescript" } } } });
const predicted = await client.POST("/v1/jobs/{job_id}/predictions", {
  params: { path },
  body: { instances: [[6]] },
});
if (typeof predicted.data !== "object") throw new Error("predictions are JSON where the client names no other type");
const refused = await client.POST("/v1/jobs/{job_id}/resume", { params: { path } });
console.log(
  JSON.stringify({
    events: events.data,
    status: job.data?.status,
    listed: listed.data?.items.map((one) => one.id),
    id: path.job_id,
    value: predicted.data.predictions[0]?.value,
    code: refused.error?.code,
  }),
);
