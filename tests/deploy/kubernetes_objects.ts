import { assertEquals } from "@std/assert";
import { denoCommand, runDeno } from "../../testing/deno_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";

const FOLDER = new URL("../../deploy/kubernetes/", import.meta.url);
const VALIDATOR = "tests/deploy/validator";

/** The server's container in a pod, as far as tests read it. */
export interface ServerContainer {
  readonly args: readonly string[];
  readonly ports: readonly { readonly name: string }[];
  readonly readinessProbe: { readonly exec: { readonly command: readonly string[] } };
}

/** A template of pods, as far as tests read it. */
export interface PodTemplate {
  readonly metadata: { readonly labels: Record<string, string> };
  readonly spec: { readonly containers: readonly ServerContainer[] };
}

/** An object, as far as tests read it. */
export interface KubernetesObject {
  readonly kind: string;
  readonly spec: {
    readonly selector: Record<string, unknown>;
    readonly template?: PodTemplate;
    readonly ports?: readonly Record<string, unknown>[];
  };
}

/** What Kubernetes would read in a text. */
export interface ValidatedObjects {
  readonly objects: readonly KubernetesObject[];
  /** What is missing, or of a wrong type. */
  readonly errors: readonly string[];
  /** Finds the fields that the kind of an object does not know, as errors of the type checker. */
  readonly unknownFields: () => Promise<string>;
}

/** Reads the objects in a text, YAML or JSON. */
export async function validate(text: string): Promise<ValidatedObjects> {
  const deno = ["run", "--quiet", "--config", `${VALIDATOR}/deno.json`, "--allow-env=LOG_TOKENS,LOG_STREAM"];
  const command = denoCommand({
    deno,
    program: `${VALIDATOR}/validate.ts`,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  const child = command.spawn();
  const written = new Blob([text]).stream().pipeTo(child.stdin);
  const [{ code, stdout, stderr }] = await Promise.all([child.output(), written]);
  const decoder = new TextDecoder();
  assertEquals(code, 0, decoder.decode(stderr));
  const { objects, errors, program } = JSON.parse(decoder.decode(stdout));
  return { objects, errors, unknownFields: () => typeErrors(program) };
}

/** Reads the objects in a file of deploy/kubernetes/. */
export async function validateFile(name: string): Promise<ValidatedObjects> {
  return await validate(await Deno.readTextFile(new URL(name, FOLDER)));
}

/** The template of the pods of the objects of a kind, which is among these, and the server in them. */
export function podOf(
  objects: readonly KubernetesObject[],
  kind: "StatefulSet" | "Deployment",
): { readonly template: PodTemplate; readonly server: ServerContainer } {
  const template = objects.find((object) => object.kind === kind)?.spec.template;
  assertEquals(template?.spec.containers.length, 1);
  return { template: template as PodTemplate, server: (template as PodTemplate).spec.containers[0] };
}

async function typeErrors(program: string): Promise<string> {
  await using temp = await TempDir.make();
  await Deno.writeTextFile(`${temp.path}/objects.ts`, program);
  const deno = ["check", "--quiet", "--config", `${VALIDATOR}/deno.json`];
  return (await runDeno({ deno, program: `${temp.path}/objects.ts` })).stderr;
}
