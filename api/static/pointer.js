// Finds the place that a JSON pointer (RFC 6901) names in a text, so that a fault can be shown where it is.

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g;

/** `[start, end]` of the deepest part of `text` on the way along `pointer`; all of it where nothing is found. */
export function locate(text, pointer) {
  const wanted = pointer.split("/").slice(1).map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
  let found = [0, text.length], deepest = 0;
  for (const { path, start, end } of values(text)) {
    const along = path.length <= wanted.length && path.every((name, at) => String(name) === wanted[at]);
    if (along && path.length > deepest) [found, deepest] = [[start, end], path.length];
  }
  return found;
}

/** Every value in a JSON text with its path and place. Each frame is an open bracket and the name it stands at. */
function* values(text) {
  const frames = [];
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const frame = frames.at(-1);
    const end = index + token.length;
    if (token === "{" || token === "[") frames.push({ list: token === "[", name: token === "[" ? 0 : null, start: index });
    else if (token === "}" || token === "]") {
      const start = frames.pop()?.start ?? 0;
      yield { path: frames.map(({ name }) => name), start, end };
    } else if (token === ",") frame && (frame.name = frame.list ? frame.name + 1 : null);
    else if (token === ":") continue;
    else if (frame && frame.name === null) frame.name = word(token);
    else yield { path: frames.map(({ name }) => name), start: index, end };
  }
}

function word(token) {
  try {
    return JSON.parse(token);
  } catch {
    return token;
  }
}
