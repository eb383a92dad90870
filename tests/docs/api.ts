/**
 * The names that the package exports, a line each: what a version of the API must keep (see `docs/versions.md`).
 *
 *     deno run -P=test tests/docs/api.ts > tests/docs/api.txt
 *
 * @module
 */
import denoJson from "../../deno.json" with { type: "json" };
import { runDeno } from "../../testing/deno_process.ts";

/** What of the output of `deno doc --json` is used here. */
interface Documentation {
  nodes: Record<string, { symbols: { name: string; declarations: Declaration[] }[] }>;
}

interface Declaration {
  kind: string;
  declarationKind: string;
  def?: { methods?: Member[]; properties?: Member[]; constructors?: { params: Member[] }[] };
}

interface Member {
  name: string;
  optional?: boolean;
  isStatic?: boolean;
  readonly?: boolean;
  accessibility?: string;
}

/** Lists the entry points with their exports, and the members of classes and interfaces. */
export async function describeApi(): Promise<string> {
  const parts = await Promise.all(Object.entries(denoJson.exports).map(describeEntryPoint));
  return parts.join("\n");
}

async function describeEntryPoint([name, path]: [name: string, path: string]): Promise<string> {
  const { nodes } = await document(path);
  const symbols = Object.values(nodes).flatMap(({ symbols }) => symbols)
    .toSorted((a, b) => a.name < b.name ? -1 : 1);
  const lines = symbols.flatMap(({ name, declarations }) =>
    declarations.filter(({ declarationKind }) => declarationKind === "export").flatMap((declaration) => [
      `  ${declaration.kind} ${name}`,
      ...membersOf(declaration).map((member) => `    ${member}`),
    ])
  );
  return `${name}\n${lines.join("\n")}\n`;
}

async function document(path: string): Promise<Documentation> {
  const { code, stdout, stderr } = await runDeno({ deno: ["doc", "--json"], program: path });
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

function membersOf({ def }: Declaration): string[] {
  const params = (def?.constructors ?? []).flatMap(({ params }) => params);
  const properties = params.filter(({ accessibility, readonly }) => readonly || accessibility !== undefined);
  const members = [...def?.methods ?? [], ...def?.properties ?? [], ...properties];
  const names = members.filter(({ accessibility }) => accessibility !== "private")
    .map(({ name, optional, isStatic }) => `${isStatic ? "static " : ""}${name}${optional ? "?" : ""}`);
  return [...new Set(names)].toSorted();
}

if (import.meta.main) await Deno.stdout.write(new TextEncoder().encode(await describeApi()));
