/**
 * JSON Schema as TypeScript sees it: the type of what a schema describes, and a check of values at run time.
 *
 * The schema is the only description. `FromSchema` makes the type of it, so the two cannot drift apart.
 */

import type { Issue } from "./contract";

/** The keywords that are understood here. Others are for the service, which checks configs by all of them. */
export interface Schema {
  readonly type?: TypeName | readonly TypeName[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: { readonly [name: string]: Schema };
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  /** The value is a secret, given as `{"$secret": "name"}`. The protocol sees a handle. */
  readonly writeOnly?: boolean;
  /** The URL or `host:port` in this property is what an execution may reach. */
  readonly "x-egress"?: "http" | "tcp";
  readonly [keyword: string]: unknown;
}

type TypeName = "string" | "integer" | "number" | "boolean" | "null" | "array" | "object";

/** The type of what a schema describes. Where it has a `type`, alternatives beside that only narrow it. */
export type FromSchema<S> = S extends { readonly const: infer V }
  ? V
  : S extends { readonly enum: readonly (infer V)[] }
    ? V
    : S extends { readonly type: readonly (infer T)[] }
      ? OfType<T, S>
      : S extends { readonly type: infer T }
        ? OfType<T, S>
        : S extends { readonly anyOf: readonly (infer O)[] }
          ? FromSchema<O>
          : S extends { readonly oneOf: readonly (infer O)[] }
            ? FromSchema<O>
            : unknown;

type OfType<T, S> = T extends "string"
  ? string
  : T extends "integer" | "number"
    ? number
    : T extends "boolean"
      ? boolean
      : T extends "null"
        ? null
        : T extends "array"
          ? S extends { readonly items: infer I }
            ? FromSchema<I>[]
            : unknown[]
          : T extends "object"
            ? ObjectOf<S>
            : never;

type ObjectOf<S> = S extends { readonly properties: infer P }
  ? Flat<{ -readonly [K in keyof P & RequiredOf<S>]: FromSchema<P[K]> } & { -readonly [K in Exclude<keyof P, RequiredOf<S>>]?: FromSchema<P[K]> }>
  : S extends { readonly additionalProperties: infer A extends Schema }
    ? Record<string, FromSchema<A>>
    : Record<string, unknown>;

type RequiredOf<S> = S extends { readonly required: readonly (infer K)[] } ? K : never;

type Flat<T> = { [K in keyof T]: T[K] };

/** Everything about a value that does not fit a schema, as far as the keywords above say. */
export function check(schema: Schema, value: unknown, pointer = ""): Issue[] {
  const issues: Issue[] = [];
  const wrong = (code: string, message: string, at = pointer) => issues.push({ pointer: at, code, message });
  const types = typeof schema.type === "string" ? [schema.type] : schema.type;
  if (types && !types.some((type) => isOf(type, value))) {
    wrong("type", `not of the type ${types.join(" or ")}`);
    return issues;
  }
  if (schema.enum && !schema.enum.some((one) => same(one, value))) wrong("enum", `not one of ${schema.enum.map((one) => JSON.stringify(one)).join(", ")}`);
  if ("const" in schema && !same(schema.const, value)) wrong("const", `not ${JSON.stringify(schema.const)}`);
  for (const branches of [schema.anyOf, schema.oneOf]) {
    if (branches && !branches.some((branch) => check(branch, value, pointer).length === 0)) wrong("any_of", "fits none of the alternatives");
  }
  if (typeof value === "number") {
    if (schema.minimum !== undefined && value < schema.minimum) wrong("minimum", `under ${schema.minimum}`);
    if (schema.maximum !== undefined && value > schema.maximum) wrong("maximum", `over ${schema.maximum}`);
  } else if (typeof value === "string") {
    const length = [...value].length;
    if (schema.minLength !== undefined && length < schema.minLength) wrong("min_length", `shorter than ${schema.minLength}`);
    if (schema.maxLength !== undefined && length > schema.maxLength) wrong("max_length", `longer than ${schema.maxLength}`);
    if (schema.pattern !== undefined && !new RegExp(schema.pattern, "u").test(value)) wrong("pattern", `does not match ${schema.pattern}`);
  } else if (Array.isArray(value)) {
    if (schema.minItems !== undefined && value.length < schema.minItems) wrong("min_items", `fewer than ${schema.minItems} items`);
    if (schema.maxItems !== undefined && value.length > schema.maxItems) wrong("max_items", `more than ${schema.maxItems} items`);
    if (schema.items) for (const [index, item] of value.entries()) issues.push(...check(schema.items, item, `${pointer}/${index}`));
  } else if (typeof value === "object" && value !== null) {
    const members = value as Record<string, unknown>;
    for (const name of schema.required ?? []) if (!Object.hasOwn(members, name)) wrong("required", "is missing", below(pointer, name));
    for (const [name, member] of Object.entries(members)) {
      const properties = schema.properties ?? {};
      if (Object.hasOwn(properties, name)) issues.push(...check(properties[name] as Schema, member, below(pointer, name)));
      else if (schema.additionalProperties === false) wrong("unknown_property", "there is no such property", below(pointer, name));
      else if (typeof schema.additionalProperties === "object") issues.push(...check(schema.additionalProperties, member, below(pointer, name)));
    }
  }
  return issues;
}

function isOf(type: TypeName, value: unknown): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  return type === "integer" ? Number.isInteger(value) : typeof value === type;
}

function same(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

/** A member's place (RFC 6901). */
function below(pointer: string, name: string): string {
  return `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}
