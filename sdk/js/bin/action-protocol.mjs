#!/usr/bin/env node
// Builds and tests protocols:
//
//   action-protocol build FILE.ts -o FILE.wasm [--wit FOLDER]
//   action-protocol test FOLDER
//   action-protocol check FOLDER
//
// `build` bundles the file and what it imports, and makes a component of it with QuickJS inside. `test` runs each
// *.test.ts of a folder in Node, with `action-protocol/testing` in the place of the service. `check` compares types.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const sdk = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const require = createRequire(import.meta.url);

/** The SDK is found beside this file, whether or not the protocol has it installed. */
const alias = {
  "action-protocol": join(sdk, "src/index.ts"),
  "action-protocol/testing": join(sdk, "src/testing.ts"),
};

/** In tests, what the service offers is offered by the SDK's own stand-in. */
const standIn = {
  name: "stand-in",
  setup(build) {
    build.onResolve({ filter: /^julee:action\// }, () => ({ path: join(sdk, "src/testing-host.ts") }));
  },
};

async function bundle(entry, options) {
  const { build } = await import("esbuild");
  return build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2023",
    charset: "utf8",
    loader: { ".md": "text" },
    alias,
    metafile: true,
    logLevel: "error",
    ...options,
  });
}

async function build(file, { output, wit }) {
  if (!file || !output) throw new Usage();
  const { outputFiles, metafile } = await bundle(resolve(file), { external: ["julee:*"], platform: "neutral", mainFields: ["module", "main"] });
  const [{ exports }] = Object.values(metafile.outputs);
  const world = exports.includes("reconciler") ? "action-protocol-reconciling" : "action-protocol";
  if (!exports.includes("protocolApi")) throw new Error(`${file} does not export protocolApi`);
  const { componentize } = require("componentize-qjs");
  const { component } = await componentize({ witPath: wit ?? resolve(sdk, "../../wit/v0.1"), jsSource: outputFiles[0].text, world, sync: true });
  mkdirSync(dirname(resolve(output)), { recursive: true });
  // Whoever looks for it finds all of it or nothing.
  writeFileSync(`${output}.part`, component);
  renameSync(`${output}.part`, output);
  console.log(`${output}: ${component.length.toLocaleString("en")} bytes`);
}

async function test(folder) {
  if (!folder) throw new Usage();
  const built = mkdtempSync(join(tmpdir(), "action-protocol-"));
  try {
    const files = readdirSync(folder).filter((name) => name.endsWith(".test.ts"));
    if (files.length === 0) throw new Error(`${folder} has no *.test.ts`);
    for (const name of files) {
      const { outputFiles } = await bundle(join(folder, name), { platform: "node", plugins: [standIn] });
      writeFileSync(join(built, name.replace(/ts$/, "mjs")), outputFiles[0].text);
    }
    const paths = readdirSync(built).map((name) => join(built, name));
    return spawnSync(process.execPath, ["--test", ...paths], { stdio: "inherit" }).status ?? 1;
  } finally {
    rmSync(built, { recursive: true });
  }
}

function check(folder) {
  if (!folder) throw new Usage();
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
  return spawnSync(process.execPath, [tsc, "--noEmit", "--project", folder], { stdio: "inherit" }).status ?? 1;
}

class Usage extends Error {}

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { output: { type: "string", short: "o" }, wit: { type: "string" } },
  });
  const [command, what] = positionals;
  const run = { build: () => build(what, values), test: () => test(what), check: () => check(what) }[command];
  if (!run) throw new Usage();
  process.exitCode = (await run()) ?? 0;
} catch (error) {
  if (error instanceof Usage) console.error("usage: action-protocol build FILE.ts -o FILE.wasm [--wit FOLDER] | test FOLDER | check FOLDER");
  else console.error(String(error?.message ?? error));
  process.exitCode = error instanceof Usage ? 2 : 1;
}
