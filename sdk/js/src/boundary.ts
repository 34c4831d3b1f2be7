/**
 * What the contract cannot carry and parsers do not survive: half characters, and JSON without a bottom. Both come
 * from remotes. A text of JavaScript may hold half of a surrogate pair, which UTF-8 does not have: a component that
 * hands it to the service is ended on the spot. And a parser calls itself for each level of nesting, of which a
 * component has few.
 */

/** How deep JSON may be nested: as deep as the service itself reads it. */
export const JSON_DEPTH_MAX = 128;

/** A text that UTF-8 can hold: halves of characters are replaced. */
export function whole(text: string): string {
  // In Unicode mode only a half that stands alone is one of these.
  return text.replace(/[\ud800-\udfff]/gu, "\ufffd");
}

/** A value of the contract whose texts are all whole. Bytes and whatever the service gave stay as they are. */
export function lowered<T>(value: T): T {
  if (typeof value === "string") return whole(value) as T;
  if (Array.isArray(value)) return value.map(lowered) as T;
  if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, lowered(member)])) as T;
  }
  return value;
}

/** The value of a JSON document. Throws a `SyntaxError` where it is none, or nested too deep. */
export function parseJson(text: string): unknown {
  if (isDeeper(text, JSON_DEPTH_MAX)) throw new SyntaxError(`it is nested more than ${JSON_DEPTH_MAX} deep`);
  return JSON.parse(text);
}

/** A value as JSON that the service can read again: it takes no half of a character, escaped or not. */
export function toJson(value: unknown): string {
  const text = JSON.stringify(value);
  return text === undefined ? text : whole(text).replace(/\\\\|\\ud[89a-f][0-9a-f]{2}/gi, (found) => (found === "\\\\" ? found : "\ufffd"));
}

/** Whether brackets outside of strings are open so deep anywhere. */
function isDeeper(text: string, most: number): boolean {
  if (occurrences(text, "[", most) + occurrences(text, "{", most) <= most) return false;
  let depth = 0;
  for (let at = 0; at < text.length; ) {
    // Strings, of which most of a document consists, are not walked through.
    const quote = text.indexOf('"', at);
    const end = quote < 0 ? text.length : quote;
    for (; at < end; at++) {
      const code = text.charCodeAt(at) | 0x20;
      // `[` and `{`, `]` and `}` are the same but for this bit.
      if (code === 0x7b && ++depth > most) return true;
      if (code === 0x7d) depth--;
    }
    if (quote < 0) return false;
    at = behindString(text, quote);
  }
  return false;
}

/** Where a string ends that begins here. */
function behindString(text: string, quote: number): number {
  for (let end = text.indexOf('"', quote + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes++;
    if (backslashes % 2 === 0) return end + 1;
  }
  return text.length;
}

/** How often this stands there, counted to one more than `most`. */
function occurrences(text: string, what: string, most: number): number {
  let found = 0;
  for (let at = text.indexOf(what); at >= 0 && found <= most; at = text.indexOf(what, at + 1)) found++;
  return found;
}
