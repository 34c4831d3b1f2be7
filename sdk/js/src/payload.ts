/** Payloads: JSON, text and bytes, with their media types. */

import { parseJson, toJson } from "./boundary";
import type { RawPayload } from "./contract";
import { InvalidInput, withIssues } from "./failure";
import { check, type FromSchema, type Schema } from "./schema";
import { decode, encode } from "./text";

/** Bytes with their media type. */
export class Payload implements RawPayload {
  constructor(
    readonly contentType: string,
    readonly data: Uint8Array,
  ) {}

  /** A value as JSON. */
  static json(value: unknown): Payload {
    return new Payload("application/json", encode(toJson(value)));
  }

  /** A text, in UTF-8. */
  static text(text: string): Payload {
    return new Payload("text/plain; charset=utf-8", encode(text));
  }

  /** Bytes of this media type. */
  static bytes(contentType: string, data: Uint8Array): Payload {
    return new Payload(contentType, data);
  }

  /** The media type without its parameters, in small letters. */
  get mediaType(): string {
    return mediaType(this.contentType);
  }

  /** Whether the media type says JSON. */
  get isJson(): boolean {
    return isJson(this.contentType);
  }

  /** As text; what is not UTF-8 in it is replaced. */
  text(): string {
    return decode(this.data);
  }

  /** The JSON in it, checked against a schema. Throws `InvalidInput` with every place where it does not fit. */
  parse<const S extends Schema>(schema: S): FromSchema<S> {
    let value: unknown;
    try {
      value = parseJson(this.text());
    } catch (error) {
      throw new InvalidInput(`the input is not JSON: ${error}`);
    }
    const issues = check(schema, value);
    if (issues.length > 0) throw withIssues(InvalidInput, "the input does not fit", issues);
    return value as FromSchema<S>;
  }
}

/** A content type without its parameters, in small letters. */
export function mediaType(contentType: string): string {
  return (contentType.split(";")[0] ?? "").trim().toLowerCase();
}

/** Whether a content type is JSON, or one of the `+json` kind. */
export function isJson(contentType: string): boolean {
  const kind = mediaType(contentType);
  return kind === "application/json" || kind.endsWith("+json");
}
