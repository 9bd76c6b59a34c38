// Bundles the page into the folder named by the first argument.
//
// Every file under assets/ carries a hash of its content in its name, so a server may call it immutable;
// index.html is the only file that changes under a fixed name. Nothing is inlined: the page runs under a
// Content-Security-Policy without 'unsafe-inline'.

import { createHash } from "node:crypto";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import * as sass from "sass";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
if (!out) throw new Error("usage: node build.mjs OUT_FOLDER");
const assets = join(out, "assets");

/** Browsers with ES modules, `<dialog>` and requestVideoFrameCallback: two years back. */
const TARGET = ["chrome120", "firefox128", "safari17"];

async function scripts() {
  const shared = { bundle: true, minify: true, target: TARGET, outdir: assets, metafile: true, legalComments: "none" };
  const page = await esbuild.build({
    ...shared,
    entryPoints: [join(here, "src/main.ts")],
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    format: "esm",
    // hls.js is an import() away: it is fetched when the first video is opened.
    splitting: true,
  });
  const theme = await esbuild.build({
    ...shared,
    // A classic script in <head>: it runs before the first paint, so a dark page never flashes white.
    entryPoints: [join(here, "src/theme.ts")],
    entryNames: "[name]-[hash]",
    format: "iife",
  });
  return [page.metafile, theme.metafile];
}

/** Name of the output that was made from `entry`. */
function outputOf(metafiles, entry) {
  for (const { outputs } of metafiles) {
    for (const [name, output] of Object.entries(outputs)) {
      if (output.entryPoint?.endsWith(entry)) return name.split("/").at(-1);
    }
  }
  throw new Error(`no output for ${entry}`);
}

async function hashed(name, extension, content) {
  const digest = createHash("sha256").update(content).digest("base64url").slice(0, 8).replaceAll(/[-_]/g, "0");
  const file = `${name}-${digest}.${extension}`;
  await writeFile(join(assets, file), content);
  return file;
}

async function styles() {
  const { css } = sass.compile(join(here, "src/styles/app.scss"), {
    loadPaths: [join(here, "node_modules")],
    // Bulma's own warnings are not ours to fix.
    quietDeps: true,
  });
  const { code } = await esbuild.transform(css, { loader: "css", minify: true, target: TARGET });
  return hashed("app", "css", code);
}

/** Licences of everything that ended up in the bundle: their terms ask for it. */
async function licences(metafiles) {
  const packages = new Set(["bulma"]);
  for (const { inputs } of metafiles) {
    for (const input of Object.keys(inputs)) {
      const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
      if (found) packages.add(found[1]);
    }
  }
  const parts = [];
  for (const name of [...packages].sort()) {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const text = await readFile(join(folder, "LICENSE"), "utf8").catch(() => "");
    parts.push(`${name} ${version} (${license})\n\n${text.trim()}\n`);
  }
  await writeFile(join(out, "LICENSES.txt"), parts.join(`\n${"-".repeat(80)}\n\n`));
}

async function swagger() {
  const from = join(here, "node_modules/swagger-ui-dist");
  const to = join(out, "swagger");
  await mkdir(to, { recursive: true });
  for (const file of ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png", "LICENSE", "NOTICE"]) {
    await cp(join(from, file), join(to, file));
  }
  await cp(join(here, "swagger"), to, { recursive: true });
}

async function sizes(metafiles, css) {
  const rows = {};
  const names = metafiles.flatMap(({ outputs }) => Object.keys(outputs).map((name) => name.split("/").at(-1)));
  for (const name of [...names, css]) {
    const bytes = await readFile(join(assets, name));
    rows[name] = { bytes: bytes.length, gzip_bytes: gzipSync(bytes, { level: 9 }).length };
  }
  await writeFile(join(out, "assets.json"), `${JSON.stringify(rows, null, 2)}\n`);
  for (const [name, { bytes, gzip_bytes }] of Object.entries(rows)) {
    console.log(`${name.padEnd(28)} ${String(bytes).padStart(8)} B  ${String(gzip_bytes).padStart(7)} B gzip`);
  }
}

await mkdir(assets, { recursive: true });
const metafiles = await scripts();
const css = await styles();
const icon = await hashed("icon", "svg", await readFile(join(here, "src/icon.svg")));
const page = (await readFile(join(here, "index.html"), "utf8"))
  .replace("{{theme}}", outputOf(metafiles, "src/theme.ts"))
  .replace("{{script}}", outputOf(metafiles, "src/main.ts"))
  .replace("{{style}}", css)
  .replace("{{icon}}", icon);
await writeFile(join(out, "index.html"), page);
await licences(metafiles);
await swagger();
await sizes(metafiles, css);
