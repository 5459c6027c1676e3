// JSON with exact whole numbers: ids beyond 2^53 become a BigInt instead of the nearest Number.

const LONG_NUMBER = /\d{16}/;
const WHOLE = /^-?\d+$/;

/** Parse JSON text; whole numbers that a Number can't hold exactly become BigInts. */
export const parseJson = (text) => JSON.parse(text, LONG_NUMBER.test(text) ? exact : undefined);

/** The JSON text of a value of `parseJson`, with the same digits; indented, or on one line with 0. */
export const jsonText = (value, indent = 2) => JSON.stringify(value, (_, item) => (typeof item === "bigint" ? JSON.rawJSON(String(item)) : item), indent);

function exact(_, value, context) {
  const isRounded = typeof value === "number" && !Number.isSafeInteger(value) && WHOLE.test(context?.source);
  return isRounded ? BigInt(context.source) : value;
}
