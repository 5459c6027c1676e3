// JSON whose whole numbers stay what they are: ids beyond 2^53 become a BigInt instead of the nearest number that a browser can hold.

const LONG_NUMBER = /\d{16}/;
const WHOLE = /^-?\d+$/;

/** Read JSON text; whole numbers that no Number holds exactly are BigInts. */
export const parseJson = (text) => JSON.parse(text, LONG_NUMBER.test(text) ? exact : undefined);

/** Write what `parseJson` gave, each whole number with the digits that it came with; indented for people to read, or on one line with 0. */
export const jsonText = (value, indent = 2) => JSON.stringify(value, (_, item) => (typeof item === "bigint" ? JSON.rawJSON(String(item)) : item), indent);

function exact(_, value, context) {
  const isRounded = typeof value === "number" && !Number.isSafeInteger(value) && WHOLE.test(context?.source);
  return isRounded ? BigInt(context.source) : value;
}
