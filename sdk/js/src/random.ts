/**
 * `Math.random`, seeded anew for each call. QuickJS keeps its generator's state in the component, so every instance
 * would draw the same numbers. Good enough to spread retries; it makes no keys: nobody must be able to guess those.
 */

/** Begins anew when the first number is drawn: most calls draw none. */
export function seedWith(text: () => string): void {
  Math.random = () => {
    seed(text());
    return Math.random();
  };
}

/** Begins anew, at a place that this text says (sfc32, seeded by FNV-1a). */
export function seed(text: string): void {
  let hash = 0x811c9dc5;
  const next = (salt: number): number => {
    for (const character of `${salt}${text}`) hash = Math.imul(hash ^ (character.codePointAt(0) as number), 0x01000193);
    return hash >>> 0;
  };
  let [a, b, c, counter] = [next(1), next(2), next(3), 1];
  const draw = (): number => {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  // The first draws still show the seed.
  for (let round = 0; round < 12; round++) draw();
  Math.random = () => draw() / 0x100000000;
}
