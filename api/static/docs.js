// The API's docs page: Swagger UI with the service's OpenAPI document, without requests to other hosts.

const PREFIX = "#/components/schemas/";

// Swagger UI expands every schema wherever it is used. Layers contain layers, so expansion would never end, and the
// arguments of all layers alone take half a minute. So a recursive reference, and every reference inside a member of a
// tagged union, is replaced by the schema's name; the schema itself is listed once at the end of the page.
function replaceReferences(schemas) {
  const uses = new Map(Object.entries(schemas).map(([name, schema]) => [name, new Set(references(schema))]));
  const reachable = new Map([...uses.keys()].map((name) => [name, reachableFrom(uses, name)]));
  for (const [name, schema] of Object.entries(schemas)) {
    const isMember = schema.properties?.type?.const !== undefined;
    replaceIn(schema, (other) => isMember || reachable.get(other)?.has(name));
  }
}

function references(node) {
  if (node === null || typeof node !== "object") return [];
  const own = node.$ref?.startsWith?.(PREFIX) ? [node.$ref.slice(PREFIX.length)] : [];
  return [...own, ...Object.values(node).flatMap(references)];
}

function reachableFrom(uses, start) {
  const found = new Set();
  const queue = [...(uses.get(start) ?? [])];
  while (queue.length) {
    const name = queue.pop();
    if (!found.has(name)) {
      found.add(name);
      queue.push(...(uses.get(name) ?? []));
    }
  }
  return found;
}

function replaceIn(node, isReplaced) {
  if (node === null || typeof node !== "object") return;
  const name = node.$ref?.startsWith?.(PREFIX) && node.$ref.slice(PREFIX.length);
  if (name && isReplaced(name)) {
    delete node.$ref;
    Object.assign(node, { type: "object", title: name, description: `${name}: see the schemas at the end of the page` });
  }
  Object.values(node).forEach((child) => replaceIn(child, isReplaced));
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const followScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", followScheme);
followScheme();

const spec = await (await fetch("openapi.json")).json();
replaceReferences(spec.components.schemas);
window.SwaggerUIBundle({
  spec,
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // the default would send the document to another host
});
