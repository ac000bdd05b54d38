// The service as this page uses it: JSON in and out, refusals as errors, a job's events as they come.

/** Statuses by what they mean for a watcher. */
export const STATUSES = ["queued", "running", "pausing", "paused", "cancelling", "succeeded", "failed", "cancelled"];
export const TERMINAL = new Set(["succeeded", "failed", "cancelled"]);

const RETRY_MS = 2000;

/** A refusal in the service's own words: `status` (0 where nothing answered), its whole `answer`, `errors` by pointer. */
export class Problem extends Error {
  constructor(status, answer = {}) {
    super(answer.detail ?? answer.title ?? `The service answered ${status}.`);
    this.status = status;
    this.answer = answer;
    this.errors = answer.errors ?? [];
  }
}

/** One request; `body` is sent as it stands, so that the service alone judges it. Raises `Problem`. */
export async function ask(method, path, body) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  let response;
  try {
    response = await fetch(path, { method, headers, body });
  } catch {
    throw new Problem(0, { detail: "The service does not answer. Is it running?" });
  }
  const answer = await response.json().catch(() => undefined);
  if (!response.ok) throw new Problem(response.status, answer);
  return answer;
}

/**
 * A job's events after row `after`: `onmetric(row)` and `onstatus(event)`, each row once and in order.
 * A line that breaks is opened again where it broke. The function that comes back ends it.
 */
export function follow(id, after, { onmetric, onstatus }) {
  let source, timer;
  const hear = (handle) => (event) => {
    const seq = Number(event.lastEventId);
    if (seq <= after) return;
    after = seq;
    handle(JSON.parse(event.data));
  };
  const open = () => {
    source = new EventSource(`v1/jobs/${id}/events?after=${after}`);
    source.addEventListener("metric", hear(onmetric));
    source.addEventListener("status", hear(onstatus));
    source.addEventListener("log", hear(() => {}));
    source.onerror = () => {
      // The browser itself goes on with Last-Event-ID, unless the answer was no stream.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, RETRY_MS);
    };
  };
  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}

/** Calls `work` now and then every `ms` while somebody looks; the function that comes back ends it. */
export function repeat(work, ms) {
  let timer, ended = false;
  const turn = async () => {
    if (!document.hidden) await work();
    if (!ended) timer = setTimeout(turn, ms);
  };
  turn();
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}
