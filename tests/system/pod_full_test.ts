/**
 * The container of deploy/kubernetes/, with the rights that a pod has there, but for the runtime's filter of system
 * calls: another user, no capability, no new privileges, a file system that cannot be written to.
 */
import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { EtcdCluster, hasEtcd } from "../../testing/etcd_cluster.ts";
import { freePorts } from "../../testing/free_ports.ts";
import { until } from "../../testing/within.ts";
import { podOf, validateFile } from "../deploy/kubernetes_objects.ts";
import { Container, Image, Pod, whyNoPods } from "./pod.ts";

const whyNot = hasEtcd ? await whyNoPods() : "etcd and etcdctl are not installed (etcd-server, etcd-client)";
if (whyNot !== undefined) console.warn(`the pods of deploy/kubernetes are not tested: ${whyNot}`);

const ENV = { POD_IP: "127.0.0.1", HOSTNAME: "global-id-0" };

(whyNot === undefined ? describe : describe.skip)("a pod of deploy/kubernetes", () => {
  it("goes on where a container that was killed ended, is ready when there are ids, and ends in good order", async () => {
    await using etcd = await EtcdCluster.start({ size: 1 });
    await using image = await Image.build();
    const [port] = freePorts(1);
    const { server: { args, readinessProbe } } = podOf((await validateFile("deployment.yaml")).objects, "Deployment");
    const probe = readinessProbe.exec.command;
    const flags = args.map((arg) =>
      arg.replace("$(POD_IP)", ENV.POD_IP).replace("9999", `${port}`)
        .replace(/^--store=.*$/, `--store=etcd://${new URL(etcd.endpoints[0]).host}/pods`)
    );
    const start = (pod: Pod) => new Container(pod.command(ENV, [...image.containerfile.entryPoint, ...flags]));
    const ids: string[] = [];
    /** Whether the probe says that the pod is ready. */
    const isReady = async (pod: Pod) => {
      const words = pod.command(ENV, probe.map((word) => word.replace("9999", `${port}`)));
      const { code, stdout, stderr } = await new Deno.Command(words[0], { args: words.slice(1) }).output();
      const printed = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      if (code === 0) ids.push(printed.trim());
      else assertMatch(printed, /^global-id: /, "the probe fails because there are no ids");
      return code === 0;
    };

    {
      await using pod = await Pod.make(image);
      await using first = start(pod);
      await first.says(/node \d+ has ids from/);
      assert(!await isReady(pod), "a claim that settles has no ids yet");
      await until("the pod is ready", () => isReady(pod));

      await first.end("KILL");
      await using second = start(pod);
      await second.says(/try it/);
      assertNotMatch(second.printed, /has ids from/);
      assert(await isReady(pod), `the second container goes on at once: ${second.printed}`);
      assertEquals(await second.end("TERM"), 0);
      assertNotMatch(second.printed, /error|denied/i);
    }
    await using pod = await Pod.make(image);
    await using third = start(pod);
    await third.says(/try it/);
    assertMatch(third.printed, /node \d+ has ids from/, "a new pod has no pool");
    assertEquals(new Set(ids).size, ids.length);
  });
});
