import { ACCESS } from "./access_section.ts";
import { ALTERNATIVES } from "./alternatives_section.ts";
import { BALANCE } from "./balance_section.ts";
import { CLIENT } from "./client_section.ts";
import { IDLE } from "./idle_section.ts";
import { IN_PROCESS } from "./in_process_section.ts";
import { RANGES } from "./ranges_section.ts";
import { REPLIES } from "./replies_section.ts";
import { RESTART } from "./restart_section.ts";
import type { Section } from "./section.ts";
import { SOAK } from "./soak_section.ts";

/** All sections, in the order of the report. */
export const SECTIONS: readonly Section[] = [
  REPLIES,
  RANGES,
  IN_PROCESS,
  CLIENT,
  BALANCE,
  ACCESS,
  IDLE,
  RESTART,
  SOAK,
  ALTERNATIVES,
];
