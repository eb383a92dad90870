/** The files of this package that its commands import. */
const PUBLISHED = /^(lib\/.*\.ts|[a-z_]+\.ts|deno\.json)$/;

/** The imports that `deno publish` replaces by what `deno.json` maps them to. */
const IMPORT = /(from )"(@noble\/hashes|@scure\/base|ipaddr\.js|@std\/cli)(\/[^"]*)?"/g;

const ROOT = new URL("../../", import.meta.url).pathname;

/** The parts of a `deno.json` that a registry looks at. */
interface PackageConfig {
  readonly name: string;
  readonly version: string;
  readonly exports: Record<string, string>;
  readonly imports?: Record<string, string>;
}

/** A registry with JSR's interface that has this package as it is, and the stand-in of `@std/cli`. */
export class JsrRegistry implements AsyncDisposable {
  /** The texts by their paths in the registry. */
  readonly #texts = new Map<string, string>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  private constructor() {
    this.#server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
      const { pathname } = new URL(request.url);
      const text = this.#texts.get(pathname);
      const type = pathname.endsWith(".ts") ? "application/typescript" : "application/json";
      return new Response(text ?? "", { status: text === undefined ? 404 : 200, headers: { "content-type": type } });
    });
  }

  static async start(): Promise<JsrRegistry> {
    const registry = new JsrRegistry();
    await registry.#publish(ROOT, PUBLISHED);
    await registry.#publish(`${ROOT}links/std-cli/`, /./);
    return registry;
  }

  /** The address, as Deno takes it in `JSR_URL`. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #publish(dir: string, files: RegExp): Promise<void> {
    const config: PackageConfig = JSON.parse(await Deno.readTextFile(`${dir}deno.json`));
    const { name, version, exports, imports = {} } = config;
    const manifest: Record<string, { size: number; checksum: string }> = {};
    for (const path of pathsIn(dir).filter((path) => files.test(path))) {
      const text = (await Deno.readTextFile(dir + path))
        .replace(IMPORT, (_, from, name, path = "") => `${from}"${imports[name]}${path}"`);
      const bytes = new TextEncoder().encode(text);
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
      manifest[`/${path}`] = { size: bytes.length, checksum: `sha256-${hash}` };
      this.#texts.set(`/${name}/${version}/${path}`, text);
    }
    const [scope, shortName] = name.slice(1).split("/");
    const meta = { scope, name: shortName, latest: version, versions: { [version]: {} } };
    this.#texts.set(`/${name}/meta.json`, JSON.stringify(meta));
    this.#texts.set(`/${name}/${version}_meta.json`, JSON.stringify({ manifest, exports }));
  }
}

/** The paths of the files in a directory, those below `lib` included. */
function pathsIn(dir: string, path = ""): string[] {
  return [...Deno.readDirSync(dir + path)].flatMap(({ name, isDirectory }) => {
    if (!isDirectory) return [path + name];
    return path === "" && name !== "lib" ? [] : pathsIn(dir, `${path}${name}/`);
  });
}
