import { assertEquals } from "@std/assert";

/** The files of a certificate and of its key. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority that signs certificates, by openssl. */
export class CertificateAuthority {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Makes an authority whose files begin with this path, and whose subject is for instance `/O=name`. */
  static async make(path: string, subject: string): Promise<CertificateAuthority> {
    const authority = new CertificateAuthority(path);
    const files = [...newKey(`${path}.key`), "-out", authority.cert];
    await openssl("req", "-x509", ...files, "-days", "2", "-subj", subject);
    return authority;
  }

  /** The file of the authority's own certificate. */
  get cert(): string {
    return `${this.#path}.pem`;
  }

  /** Makes a certificate for 127.0.0.1, as server and as client, whose subject is for instance `/CN=name`. */
  async sign(name: string, subject: string): Promise<Certificate> {
    const [cert, key, request] = ["pem", "key", "csr"].map((ending) => `${this.#path}-${name}.${ending}`);
    await openssl(
      ...["req", ...newKey(key), "-out", request, "-subj", subject],
      ...["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "extendedKeyUsage=serverAuth,clientAuth"],
    );
    const signer = ["-CA", this.cert, "-CAkey", `${this.#path}.key`, "-CAcreateserial"];
    await openssl("x509", "-req", "-in", request, ...signer, "-days", "2", "-out", cert, "-copy_extensions", "copy");
    return { cert, key };
  }
}

function newKey(path: string): string[] {
  return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path];
}

async function openssl(...args: string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command("openssl", { args, stdin: "null" }).output();
  assertEquals(code, 0, `openssl ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}
