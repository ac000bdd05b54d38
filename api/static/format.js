// Formatting of numbers, times and JSON for reading. Independent of the page and the service.

/** Formats a number with at most `digits` significant digits; a dash if it is not finite. */
export function number(value, digits = 4) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return Number(value.toPrecision(3)).toExponential();
  return Number(value.toPrecision(digits)).toString();
}

/** Formats seconds since 1970 as a date, with the time where it is not midnight; a dash if they are none. */
export function moment(seconds) {
  const date = new Date(1000 * seconds);
  if (typeof seconds !== "number" || Number.isNaN(date.getTime())) return "–";
  const [day, time] = date.toISOString().split("T");
  return time.startsWith("00:00:00") ? day : `${day} ${time.slice(0, 5)}`;
}

const COLUMNS = 64;
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

/** Formats seconds in their largest unit: `0.4 s`, `12 s`, `3 min`. */
export function duration(seconds) {
  const [size, unit] = UNITS.find(([size]) => seconds >= size) ?? [1, "s"];
  return `${seconds < 10 && unit === "s" ? Math.max(0, seconds).toFixed(1) : Math.floor(seconds / size)} ${unit}`;
}

/** Formats a size in bytes: `512 B`, `3.4 kB`. */
export function bytes(size) {
  const power = Math.min(4, Math.floor(Math.log10(Math.max(1, size)) / 3));
  return `${number(size / 1000 ** power, 3)} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

/** Formats the time since a timestamp of the service. */
export const ago = (at) => `${duration(Math.max(1, Math.round((Date.now() - Date.parse(at)) / 1000))).replace(".0", "")} ago`;

/** Formats a timestamp of the service as local time. */
export const clock = (at) => new Date(at).toLocaleTimeString([], { timeStyle: "medium" });

/** Formats JSON for reading: a value that fits stays on one line. */
export function pretty(value, indent = "", name = "") {
  const line = spaced(value);
  if (value === null || typeof value !== "object" || indent.length + name.length + line.length < COLUMNS) return line;
  const inner = `${indent}  `;
  const parts = Array.isArray(value)
    ? value.map((item) => inner + pretty(item, inner))
    : Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${pretty(item, inner, key)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return `${open}\n${parts.join(",\n")}\n${indent}${close}`;
}

function spaced(value) {
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${spaced(item)}`).join(", ")}}`;
}
