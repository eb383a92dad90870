/** The files of deploy/kubernetes/, as Kubernetes would read them. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { parseServeArgs } from "../../lib/cli/serve_command.ts";
import { readContainerfile } from "../system/pod.ts";
import { podOf, validate, validateFile } from "./kubernetes_objects.ts";

const FILES = ["service.yaml", "stateful_set.yaml", "deployment.yaml"];
const files = await Promise.all(FILES.map(validateFile));
const objects = files.flatMap(({ objects }) => objects);

describe("deploy/kubernetes", () => {
  it("has what the schemas of Kubernetes ask for", async () => {
    assertEquals(files.map(({ errors }) => errors), FILES.map(() => []));
    const [service] = objects;
    const { errors } = await validate(
      JSON.stringify({ ...service, spec: { ...service.spec, ports: [{ port: "9" }] } }),
    );
    assertEquals(errors.length, 1);
    assertMatch(errors[0], /port must be integer/);
  });

  it("has no field that Kubernetes does not know: of all objects and a wrong one, only that one is found wrong", async () => {
    const [service] = objects;
    const wrong = { ...service, spec: { ...service.spec, ports: [{ port: 9999, portocol: "UDP" }] } };
    const { unknownFields } = await validate(
      [...objects, wrong].map((object) => JSON.stringify(object)).join("\n---\n"),
    );
    const found = await unknownFields();
    assertMatch(found, /portocol/);
    assertEquals(found.match(/TS[0-9]+/g)?.length, 1, found);
  });

  for (const [kind, node] of [["StatefulSet", "ordinal"], ["Deployment", "auto"]] as const) {
    it(`starts the server of a ${kind} with flags that it knows`, () => {
      const words = readContainerfile().entryPoint;
      const own = words.slice(words.findIndex((word) => word.endsWith("/server.ts")) + 1);
      const args = podOf(objects, kind).server.args.map((arg) => arg.replace("$(POD_IP)", "10.1.2.3"));
      const command = parseServeArgs([...own, ...args]);
      assert(command.kind === "serve");
      const { options } = command;
      assertEquals([options.node, options.stateDir, options.cluster], [node, "/srv/global-id", "global-id"]);
    });
  }

  it("has the same pods in both files, but for the node ids", () => {
    const withoutNode = (kind: "StatefulSet" | "Deployment") =>
      JSON.stringify(podOf(objects, kind).template).replace(/--node-id=[a-z]+/, "--node-id=");
    assertEquals(withoutNode("StatefulSet"), withoutNode("Deployment"));
  });

  it("selects the pods by their labels, and names their ports", () => {
    const { template, server } = podOf(objects, "StatefulSet");
    for (const { spec: { selector } } of objects) {
      assertEquals("matchLabels" in selector ? selector.matchLabels : selector, template.metadata.labels);
    }
    assertEquals(server.ports.map(({ name }) => name), ["ids"]);
  });
});
