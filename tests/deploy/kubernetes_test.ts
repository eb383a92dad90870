/** The files of deploy/kubernetes/, as Kubernetes would read them. */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Deployment, type IDeployment, type IStatefulSet, StatefulSet } from "kubernetes-models/apps/v1";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1";
import { Service } from "kubernetes-models/v1";
import { parseAllDocuments } from "yaml";
import denoJson from "../../deno.json" with { type: "json" };
import { parseServeArgs } from "../../lib/cli/serve_command.ts";
import { runDeno } from "../../testing/deno_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { readContainerfile } from "../system/pod.ts";

const FOLDER = new URL("../../deploy/kubernetes/", import.meta.url);
const FILES = ["service.yaml", "stateful_set.yaml", "deployment.yaml"];

/** The kinds of object there may be, with what checks one, and the module of its type. */
const KINDS = {
  Service: { Model: Service, module: "v1" },
  PodDisruptionBudget: { Model: PodDisruptionBudget, module: "policy/v1" },
  StatefulSet: { Model: StatefulSet, module: "apps/v1" },
  Deployment: { Model: Deployment, module: "apps/v1" },
} as const;

interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: keyof typeof KINDS;
}

function objectsIn(file: string): KubernetesObject[] {
  return parseAllDocuments(Deno.readTextFileSync(new URL(file, FOLDER))).map((document) => {
    assertEquals(document.errors, []);
    return document.toJS();
  });
}

const objects = FILES.flatMap(objectsIn);

/** Fails unless an object has the fields that its kind must have, with values of the right types. */
function validate(object: KubernetesObject): void {
  const { Model, module } = KINDS[object.kind];
  assertEquals(object.apiVersion, module);
  // The models' types are as narrow as what they check here.
  new (Model as new (data: unknown) => { validate(): void })(object).validate();
}

/** A program whose types are right if each object has no field that its kind does not know. */
function programOf(objects: readonly KubernetesObject[]): string {
  return objects.map((object, i) => {
    const { kind } = object;
    const type = `import("${denoJson.imports["kubernetes-models"]}/${KINDS[kind].module}/${kind}").I${kind}`;
    return `export const object${i}: ${type} = ${JSON.stringify(object)};\n`;
  }).join("");
}

async function typeCheck(program: string): Promise<{ code: number; stderr: string }> {
  await using temp = await TempDir.make();
  await Deno.writeTextFile(`${temp.path}/objects.ts`, program);
  // The project's settings leave out the directory of temporary files.
  return await runDeno({ deno: ["check", "--quiet", "--no-config", "--no-lock"], program: `${temp.path}/objects.ts` });
}

/** The pods of a StatefulSet or a Deployment. */
function podOf(kind: "StatefulSet" | "Deployment") {
  const object = objects.find((object) => object.kind === kind) as unknown as IStatefulSet | IDeployment;
  const pod = object.spec?.template.spec;
  assert(pod?.containers.length === 1);
  return { template: object.spec?.template, pod, server: pod.containers[0] };
}

describe("deploy/kubernetes", () => {
  for (const file of FILES) {
    it(`has in ${file} what the schemas of Kubernetes ask for`, () => objectsIn(file).forEach(validate));
  }

  it("has no field that Kubernetes does not know: of all objects and a wrong one, only that one is found wrong", async () => {
    const [service] = objects as [KubernetesObject & { spec: { ports: Record<string, unknown>[] } }];
    const withPort = (port: object) => ({ ...service, spec: { ...service.spec, ports: [port] } });
    assertThrows(() => validate(withPort({ port: "9999" })), Error, "port must be integer");
    const { stderr } = await typeCheck(programOf([...objects, withPort({ port: 9999, portocol: "UDP" })]));
    assertMatch(stderr, /portocol/);
    assertEquals(stderr.match(/TS[0-9]+/g)?.length, 1, stderr);
  });

  for (const [kind, node] of [["StatefulSet", "ordinal"], ["Deployment", "auto"]] as const) {
    it(`starts the server of a ${kind} with flags that it knows`, () => {
      const words = readContainerfile().entryPoint;
      const own = words.slice(words.findIndex((word) => word.endsWith("/server.ts")) + 1);
      const args = podOf(kind).server.args?.map((arg) => arg.replace("$(POD_IP)", "10.1.2.3")) ?? [];
      const command = parseServeArgs([...own, ...args]);
      assert(command.kind === "serve");
      const { options } = command;
      assertEquals([options.node, options.stateDir, options.cluster], [node, "/srv/global-id", "global-id"]);
    });
  }

  it("has the same pods in both files, but for the node ids", () => {
    const withoutNode = (kind: "StatefulSet" | "Deployment") =>
      JSON.stringify(podOf(kind).template).replace(/--node-id=[a-z]+/, "--node-id=");
    assertEquals(withoutNode("StatefulSet"), withoutNode("Deployment"));
  });

  it("selects the pods by their labels, and names their ports", () => {
    const { template, server } = podOf("StatefulSet");
    const labels = template?.metadata?.labels;
    const selectors = objects.map((object) => (object as unknown as { spec: { selector: object } }).spec.selector);
    for (const selector of selectors) {
      assertEquals("matchLabels" in selector ? selector.matchLabels : selector, labels);
    }
    assertEquals(server.ports?.map(({ name }) => name), ["ids"]);
  });
});
