// Addresses of what only the product knows. It registers them on the server, with {names} for values.

const templates = JSON.parse(document.querySelector("meta[name=links]")?.content ?? "{}");

/** The address of a thing, or null where the product has none for its kind. */
export function addressOf(kind, values = {}) {
  return templates[kind]?.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name])) ?? null;
}
