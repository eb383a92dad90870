/** Receives the server's own lines. */
export interface ServeLog {
  /** Takes a line about the normal course of serving. */
  info(line: string): void;
  /** Takes a line about something that the operator should see to. */
  warn(line: string): void;
}
