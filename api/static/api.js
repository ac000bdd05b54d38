// HTTP access to the API: JSON requests, problems as exceptions, a job's event stream.

/** All statuses of a job, and those after which no event follows. */
export const STATUSES = ["queued", "running", "pausing", "paused", "cancelling", "succeeded", "failed", "cancelled"];
export const TERMINAL = new Set(["succeeded", "failed", "cancelled"]);

const RETRY_MS = 2000;

/** A problem response: `status` (0 without any response), the body as `answer`, its `errors` with pointers. */
export class Problem extends Error {
  constructor(status, answer = {}) {
    super(answer.detail ?? answer.title ?? `The service answered ${status}.`);
    this.status = status;
    this.answer = answer;
    this.errors = answer.errors ?? [];
    this.moreErrors = answer.more_errors ?? 0;
  }
}

/** Sends one request; `body` is sent unchanged, so the service alone validates it. Throws `Problem`. */
export async function request(method, path, body) {
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
 * Follows a job's events past `seq` `after`: calls `onmetric(row)` and `onstatus(event)`, once per event and in order.
 * A broken connection is reopened after the last event. Returns a function that stops it.
 */
export function follow(id, after, { onmetric, onstatus }) {
  let source, timer;
  const receive = (handle) => (event) => {
    const seq = Number(event.lastEventId);
    if (seq <= after) return;
    after = seq;
    handle(JSON.parse(event.data));
  };
  const open = () => {
    source = new EventSource(`v1/jobs/${id}/events?after=${after}`);
    source.addEventListener("metric", receive(onmetric));
    source.addEventListener("status", receive(onstatus));
    source.addEventListener("log", receive(() => {}));
    source.onerror = () => {
      // The browser itself reconnects with Last-Event-ID, unless the response was no event stream.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, RETRY_MS);
    };
  };
  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}

/** Calls `work` at once and every `ms` while the page is visible. Returns a function that stops it. */
export function repeat(work, ms) {
  let timer, stopped = false;
  const run = async () => {
    if (!document.hidden) await work();
    if (!stopped) timer = setTimeout(run, ms);
  };
  run();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
