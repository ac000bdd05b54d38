// The dashboard: opens the page of the URL's hash, and shows the service's health.

import { request, repeat } from "./api.js";
import { openDataset } from "./dataset.js";
import { openHome } from "./home.js";
import { openJob } from "./job.js";

const HEALTH_MS = 5000;

const page = document.getElementById("page");
let close = () => {};

function route() {
  close();
  const [, kind, id] = location.hash.match(/^#\/(jobs|datasets)\/(\w+)$/) ?? [];
  close = id ? { jobs: openJob, datasets: openDataset }[kind](page, id) : openHome(page);
  scrollTo(0, 0);
}

const health = document.getElementById("health");

async function updateHealth() {
  const [state, text] = await request("GET", "health/ready").then(
    ({ broker }) => ["good", `ready · broker ${broker.status}`],
    ({ message, answer }) => ["bad", unreadyPart(answer) ?? message],
  );
  health.className = state;
  health.lastElementChild.textContent = text;
}

function unreadyPart(answer) {
  const name = ["database", "blobs"].find((name) => answer[name] && answer[name].status !== "ok");
  return name && `not ready · ${name === "blobs" ? "files" : name} ${answer[name].status.replace("_", " ")}`;
}

addEventListener("hashchange", () => {
  route();
  page.focus();
});
route();
repeat(updateHealth, HEALTH_MS);
