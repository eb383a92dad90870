import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import {
  decodeReservation,
  describeHolder,
  encodeReservation,
  MAX_INFO_LENGTH,
  type Reservation,
} from "../../lib/reservation/reservation.ts";
import { StoreError } from "../../mod.ts";
import { ANY_CHARACTER } from "../any_character.ts";

const RECORD: Reservation = {
  mark: 217_633_249,
  beat: 7,
  holder: "a/1",
  layout: "v1 time=37",
  info: { host: "db-1", address: "10.0.0.7:4000", version: "0.2.0", since: "2030-01-01T00:00:00.000Z" },
};
/** As every release must read it. */
const TEXT = '{"mark":217633249,"beat":7,"holder":"a/1","layout":"v1 time=37","info":{"host":"db-1",' +
  '"address":"10.0.0.7:4000","version":"0.2.0","since":"2030-01-01T00:00:00.000Z"}}';

describe("encodeReservation", () => {
  it("writes JSON, with the fields in one order, and no spaces", () => {
    assertEquals(encodeReservation(RECORD), TEXT);
    const { info, layout, holder, beat, mark } = RECORD;
    assertEquals(encodeReservation({ info, layout, holder, beat, mark }), TEXT);
    const { since, version, address, host } = info;
    assertEquals(
      encodeReservation({ ...RECORD, info: { since, version, address, host } as Reservation["info"] }),
      TEXT,
    );
    assertEquals(encodeReservation({ ...RECORD, info: {} }), `${TEXT.slice(0, TEXT.indexOf('{"host"'))}{}}`);
    assertEquals(encodeReservation({ ...RECORD, writtenMs: 5 }), TEXT.replace(',"layout"', ',"writtenMs":5,"layout"'));
  });

  it("bounds what is there for people", () => {
    const host = "h".repeat(100_000);
    const { info } = decodeReservation(encodeReservation({ ...RECORD, info: { host, address: host } }));
    assertEquals([info.host?.length, info.address?.length], [MAX_INFO_LENGTH, MAX_INFO_LENGTH]);
  });
});

describe("describeHolder", () => {
  it("says who it is, as far as anybody knows", () => {
    assertEquals(describeHolder(RECORD), "db-1, at 10.0.0.7:4000, version 0.2.0, since 2030-01-01T00:00:00.000Z");
    assertEquals(describeHolder({ ...RECORD, info: {} }), 'the holder "a"');
  });

  it("shows nothing that a terminal would act upon", () => {
    const record = decodeReservation(encodeReservation({ ...RECORD, info: { host: "a\x1b[2J\n\u202eb" } }));
    assertEquals(describeHolder(record), "a�[2J��b");
  });
});

describe("decodeReservation", () => {
  it("reads what encodeReservation writes", () => {
    assertEquals(decodeReservation(TEXT), RECORD);
    const text = fc.string({ unit: ANY_CHARACTER, maxLength: 60 });
    const printable = fc.string({ unit: "grapheme", maxLength: 60 });
    const info = fc.record(
      { host: printable, address: printable, version: printable, since: printable },
      { requiredKeys: [] },
    );
    const natural = fc.maxSafeNat();
    const anyRecord = fc.record({ mark: natural, beat: natural, holder: text, layout: text, info });
    fc.assert(fc.property(anyRecord, (record) => {
      assertEquals(decodeReservation(encodeReservation(record)), { ...record, info: { ...record.info } });
    }));
  });

  it("leaves alone what it does not know, and what is only for people", () => {
    const later = `{"later":[1],${TEXT.slice(1, -2)},"zone":"b","later":{}}}`;
    assertEquals(decodeReservation(later), RECORD);
    for (const info of ["null", "5", '"x"', "[1]", '{"host":5,"version":null}', '{"__proto__":{"host":"x"}}']) {
      assertEquals(decodeReservation(`{"mark":1,"beat":2,"holder":"","layout":"x","info":${info}}`).info, {});
    }
    assertEquals(decodeReservation('{"mark":1,"beat":2,"holder":"","layout":"x"}').info, {});
  });

  const wrong: Record<string, [json: string, message: string]> = {
    "no JSON": ["mark 5", 'a record must be JSON: got "mark 5"'],
    "nothing": ["", 'a record must be JSON: got ""'],
    "null": ["null", 'a record must be a JSON object: got "null"'],
    "an array": ["[5]", 'a record must be a JSON object: got "[5]"'],
    "a mark as text": ['{"mark":"5"}', 'an integer from 0 to 9007199254740991 as mark: got "5"'],
    "a mark that is not whole": ['{"mark":5.5}', "as mark: got 5.5"],
    "a mark that is not exact": ['{"mark":9007199254740992}', "as mark: got 9007199254740992"],
    "a mark past all numbers": ['{"mark":1e999}', "as mark: got Infinity"],
    "a negative mark": ['{"mark":-1}', "as mark: got -1"],
    "no mark": ["{}", "as mark: got undefined"],
    "no beat": ['{"mark":5}', "as beat: got undefined"],
    "a beat that is null": ['{"mark":5,"beat":null}', "as beat: got null"],
    "no holder": ['{"mark":5,"beat":1}', "a string as holder: got undefined"],
    "a holder that is a number": ['{"mark":5,"beat":1,"holder":7}', "a string as holder: got 7"],
    "a layout that is null": ['{"mark":5,"beat":1,"holder":"","layout":null}', "a string as layout: got null"],
    "more than a record can be": [TEXT + " ".repeat(20_000), "a record has at most 16384 characters: got 20"],
  };
  for (const [what, [json, message]] of Object.entries(wrong)) {
    it(`refuses ${what}, and says so`, () => void assertThrows(() => decodeReservation(json), StoreError, message));
  }

  it("has no time of the write where there is none that a clock can show", () => {
    const timeOf = (json: string) => decodeReservation(TEXT.replace(',"layout"', `,"writtenMs":${json},"layout"`));
    assertEquals(timeOf("5"), { ...RECORD, writtenMs: 5 });
    for (const json of ["null", '"5"', "5.5", "1e300", "8640000000000001"]) assertEquals(timeOf(json), RECORD, json);
  });

  it("refuses any text that is no record with a StoreError", () => {
    const anyText = fc.oneof(fc.string({ unit: ANY_CHARACTER }), fc.json());
    fc.assert(fc.property(anyText, (text) => {
      try {
        decodeReservation(text);
      } catch (error) {
        assert(error instanceof StoreError, `${error}`);
      }
    }));
  });
});
