// As much of the surroundings as is used: `performance` is in the component too, the rest only in tests.

declare module "node:test" {
  export function test(name: string, body: () => void): void;
}

declare module "node:assert/strict" {
  const assert: {
    (value: unknown, message?: string): asserts value;
    equal(actual: unknown, expected: unknown, message?: string): void;
    deepEqual(actual: unknown, expected: unknown, message?: string): void;
    match(actual: string, pattern: RegExp, message?: string): void;
    throws(work: () => unknown, expected?: unknown): void;
  };
  export default assert;
}

declare const performance: { now(): number };

declare class TextEncoder {
  encode(text: string): Uint8Array;
}
