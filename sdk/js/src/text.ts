/** UTF-8 by hand: QuickJS has no TextEncoder. The globals are made of it, for libraries that look for them. */

/** A text in UTF-8. Half a surrogate pair becomes the replacement character. */
export function encode(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 3);
  let at = 0;
  for (let index = 0; index < text.length; index++) {
    let code = text.charCodeAt(index);
    if (code < 0x80) {
      bytes[at++] = code;
      continue;
    }
    code = text.codePointAt(index) as number;
    if (code > 0xffff) index++;
    else if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd;
    if (code < 0x800) {
      bytes[at++] = 0xc0 | (code >> 6);
      bytes[at++] = 0x80 | (code & 63);
    } else if (code < 0x10000) {
      bytes[at++] = 0xe0 | (code >> 12);
      bytes[at++] = 0x80 | ((code >> 6) & 63);
      bytes[at++] = 0x80 | (code & 63);
    } else {
      bytes[at++] = 0xf0 | (code >> 18);
      bytes[at++] = 0x80 | ((code >> 12) & 63);
      bytes[at++] = 0x80 | ((code >> 6) & 63);
      bytes[at++] = 0x80 | (code & 63);
    }
  }
  return bytes.slice(0, at);
}

// The least code point that needs so many further bytes: fewer would have done for less.
const LEAST = [0, 0x80, 0x800, 0x10000];

/** As many bytes as a call has room for as arguments. */
const CHUNK_BYTES = 4096;

/** A text of UTF-8. What is none becomes replacement characters. */
export function decode(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    let end = Math.min(at + CHUNK_BYTES, bytes.length);
    // Not through a character, whose further bytes are three at most.
    for (let back = 0; back < 3 && end < bytes.length && ((bytes[end] as number) & 0xc0) === 0x80; back++) end--;
    text += decodePart(bytes.subarray(at, end));
    at = end;
  }
  return text;
}

/** The engine's own functions do almost all of it: by hand each byte costs a thousand times as much. */
function decodePart(bytes: Uint8Array): string {
  const raw = String.fromCharCode.apply(null, bytes as unknown as number[]);
  if (!/[\x80-\xff]/.test(raw)) return raw;
  try {
    return decodeURIComponent(escape(raw));
  } catch {
    return decodeByHand(bytes);
  }
}

function decodeByHand(bytes: Uint8Array): string {
  let text = "";
  let units: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at++] as number;
    let code = first;
    if (first >= 0x80) {
      const further = first >= 0xf0 && first < 0xf5 ? 3 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xc2 && first < 0xe0 ? 1 : 0;
      code = further === 0 ? 0xfffd : first & (0x3f >> further);
      for (let left = further; left > 0; left--) {
        const next = bytes[at] ?? 0;
        if ((next & 0xc0) !== 0x80) {
          code = 0xfffd;
          break;
        }
        code = (code << 6) | (next & 63);
        at++;
      }
      if (code !== 0xfffd && (code < (LEAST[further] as number) || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))) code = 0xfffd;
    }
    if (code > 0xffff) units.push(0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
    else units.push(code);
    if (units.length > 4096) {
      text += String.fromCharCode(...units);
      units = [];
    }
  }
  return text + String.fromCharCode(...units);
}

/** Bytes as text, each for itself: what HTTP headers are. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

class Encoder {
  readonly encoding = "utf-8";
  encode(text = ""): Uint8Array {
    return encode(text);
  }
}

class Decoder {
  readonly encoding = "utf-8";
  decode(bytes?: Uint8Array): string {
    return decode(bytes ?? new Uint8Array(0));
  }
}

const globals = globalThis as Record<string, unknown>;
globals["TextEncoder"] ??= Encoder;
globals["TextDecoder"] ??= Decoder;
