/**
 * Reads Kubernetes objects in YAML from stdin, and prints as JSON the objects, what is wrong with them by the schemas
 * of Kubernetes, and a program for the type checker. The packages that this takes are 25 MB, and a command of Deno
 * loads all packages of its configuration: this program has one of its own, so that nobody loads them for a server.
 */
import { Deployment, StatefulSet } from "kubernetes-models/apps/v1";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1";
import { Service } from "kubernetes-models/v1";
import { parseAllDocuments } from "yaml";

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

/** Fails unless an object has the fields that its kind must have, with values of the right types. */
function validate(object: KubernetesObject): void {
  const { Model, module } = KINDS[object.kind];
  if (object.apiVersion !== module) throw new Error(`${object.kind} is of ${object.apiVersion}, and not of ${module}`);
  // The models' types are as narrow as what they check here.
  new (Model as new (data: unknown) => { validate(): void })(object).validate();
}

const errors: string[] = [];
const objects = parseAllDocuments(await new Response(Deno.stdin.readable).text()).map((document) => {
  errors.push(...document.errors.map(({ message }) => message));
  const object: KubernetesObject = document.toJS();
  try {
    validate(object);
  } catch (error) {
    errors.push(String(error));
  }
  return object;
});
/** A program whose types are right if each object has no field that its kind does not know. */
const program = objects.map((object, i) => {
  const type = `import("kubernetes-models/${KINDS[object.kind]?.module}/${object.kind}").I${object.kind}`;
  return `export const object${i}: ${type} = ${JSON.stringify(object)};\n`;
}).join("");
console.log(JSON.stringify({ objects, errors, program }));
