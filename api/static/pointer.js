// Locates the value of a JSON pointer (RFC 6901) in a JSON text, so that an error can be shown at its place.

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g;

/** Returns `[start, end]` of the deepest value of `text` on the path of `pointer`; the whole text if none is found. */
export function locate(text, pointer) {
  const wanted = pointer.split("/").slice(1).map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
  let found = [0, text.length], deepest = 0;
  for (const { path, start, end } of values(text)) {
    const along = path.length <= wanted.length && path.every((name, at) => String(name) === wanted[at]);
    if (along && path.length > deepest) [found, deepest] = [[start, end], path.length];
  }
  return found;
}

/** Yields every value of a JSON text with its path and position. A frame is an open bracket with its current name. */
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
    else if (frame && frame.name === null) frame.name = parsed(token);
    else yield { path: frames.map(({ name }) => name), start: index, end };
  }
}

function parsed(token) {
  try {
    return JSON.parse(token);
  } catch {
    return token;
  }
}
