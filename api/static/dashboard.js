// The dashboard: opens the page that the address names, and says how the service is.

import { ask, repeat } from "./api.js";
import { openHome } from "./home.js";
import { openJob } from "./job.js";

const HEALTH_MS = 5000;

const page = document.getElementById("page");
let close = () => {};

function route() {
  close();
  const job = location.hash.match(/^#\/jobs\/(\w+)$/);
  close = job ? openJob(page, job[1]) : openHome(page);
  scrollTo(0, 0);
}

const health = document.getElementById("health");

async function feel() {
  const [state, words] = await ask("GET", "health/ready").then(
    ({ broker }) => ["good", `ready · broker ${broker.status}`],
    ({ message, answer }) => ["bad", answer.database ? `not ready · database ${answer.database.status}` : message],
  );
  health.className = state;
  health.lastElementChild.textContent = words;
}

addEventListener("hashchange", () => {
  route();
  page.focus();
});
route();
repeat(feel, HEALTH_MS);
