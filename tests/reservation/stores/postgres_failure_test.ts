import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { StoreError } from "../../../mod.ts";
import { isAnswer, needsOperator, postgresFailure } from "../../../lib/reservation/stores/_postgres_failure.ts";

function errorOf(code: string | undefined, message = "it says"): Error {
  return Object.assign(new Error(message), code !== undefined && { code });
}

describe("an error of PostgreSQL's driver", () => {
  it("is an answer if it has a code of PostgreSQL's, and not one of the system's", () => {
    for (const code of ["00000", "0A000", "25006", "42P01", "57P01", "F0000", "HV000", "P0001", "XX000"]) {
      assert(isAnswer(errorOf(code)), code);
    }
    for (const code of ["EPIPE", "EBADF", "ECONNRESET", "ETIMEDOUT", "ERR_TLS_CERT_ALTNAME_INVALID", "", undefined]) {
      assert(!isAnswer(errorOf(code)), code);
    }
    assert(!isAnswer(undefined));
  });

  it("names the server and the remedy, and keeps the cause", () => {
    const cause = errorOf("53300");
    const failure = postgresFailure(cause, { where: "a:5432" });
    assertEquals(failure.cause, cause);
    assertEquals(
      failure.message,
      "PostgreSQL at a:5432 refuses: it says; " +
        "raise the server's max_connections (each node has one connection), or end idle ones",
    );
    assertEquals(
      postgresFailure(errorOf("ECONNREFUSED", "")).message,
      "PostgreSQL does not serve: ECONNREFUSED; see whether it runs, and listens on this address",
    );
    assertEquals(postgresFailure(errorOf("42501"), { advice: "ask" }).message, "PostgreSQL refuses: it says; ask");
    const own = new StoreError("own");
    assertEquals(postgresFailure(own), own);
  });

  it("needs an operator or not, in whatever language the server writes", () => {
    const lasting = ["28P01", "28000", "3D000"];
    const passing = ["57P03", "53300", "25006", "40001", "ECONNREFUSED", "ENOTFOUND", undefined];
    for (const code of lasting) assert(needsOperator(errorOf(code, "ça ne va pas")), code);
    for (const code of passing) assert(!needsOperator(errorOf(code, "ça ne va pas")), code);
  });
});
