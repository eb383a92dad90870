import type { Figures } from "./figures.ts";
import { Lab, type LabOptions, LeftOutError } from "./lab.ts";
import type { Section } from "./section.ts";

/** The outcome of a section, besides its figures. */
export interface Measured {
  /** Subjects that could not be measured here, by the reason. */
  leftOut: Record<string, string[]>;
  /** How many ids were received from this project's servers, none of them twice. */
  idCount: number;
}

/**
 * Measures the subjects of a section, one after the other, and then all of them again, round by round: so whatever
 * happens on the machine meanwhile happens to all of them.
 *
 * @param rounds How often to measure each.
 * @param figures Where the figures go.
 */
export async function measureSection(
  section: Section,
  options: LabOptions,
  rounds: number,
  figures: Figures,
): Promise<Measured> {
  await using lab = new Lab(options);
  const leftOut: Record<string, string[]> = {};
  let subjects = section.subjects(options.isQuick);
  for (let round = 1; round <= rounds; round++) {
    for (const subject of subjects) {
      console.error(`${section.name}, round ${round} of ${rounds}: ${subject.name}`);
      try {
        figures.add(subject.name, await subject.measure(lab, figures));
      } catch (error) {
        if (!(error instanceof LeftOutError)) throw error;
        (leftOut[error.message] ??= []).push(subject.name);
        subjects = subjects.filter((other) => other !== subject);
      }
    }
  }
  return { leftOut, idCount: lab.idCount };
}
