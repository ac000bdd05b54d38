// The API's docs page: Swagger UI over the service's own OpenAPI document, asking no other host.

const PREFIX = "#/components/schemas/";

// Swagger UI writes every schema out wherever it is used. Nets of nets would have it write for ever, and all that each
// layer may hold for half a minute: where a schema leads back to itself, or is a part of a member of a kind, the page
// shows its name, and the schema once, among the others below.
function cutShort(schemas) {
  const uses = new Map(Object.entries(schemas).map(([name, schema]) => [name, new Set(references(schema))]));
  const reach = new Map([...uses.keys()].map((name) => [name, reached(uses, name)]));
  for (const [name, schema] of Object.entries(schemas)) {
    const isMember = schema.properties?.type?.const !== undefined;
    replace(schema, (other) => isMember || reach.get(other)?.has(name));
  }
}

function references(node) {
  if (node === null || typeof node !== "object") return [];
  const own = node.$ref?.startsWith?.(PREFIX) ? [node.$ref.slice(PREFIX.length)] : [];
  return [...own, ...Object.values(node).flatMap(references)];
}

function reached(uses, start) {
  const found = new Set();
  const waiting = [...(uses.get(start) ?? [])];
  while (waiting.length) {
    const name = waiting.pop();
    if (!found.has(name)) {
      found.add(name);
      waiting.push(...(uses.get(name) ?? []));
    }
  }
  return found;
}

function replace(node, isCut) {
  if (node === null || typeof node !== "object") return;
  const name = node.$ref?.startsWith?.(PREFIX) && node.$ref.slice(PREFIX.length);
  if (name && isCut(name)) {
    delete node.$ref;
    Object.assign(node, { type: "object", title: name, description: `${name}: see the schemas at the end of the page` });
  }
  Object.values(node).forEach((below) => replace(below, isCut));
}

const spec = await (await fetch("openapi.json")).json();
cutShort(spec.components.schemas);
window.SwaggerUIBundle({
  spec,
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // the default would send the document to a validator elsewhere
});
