/** The first port that is not for privileged processes, which offer services as a rule. */
export const FIRST_UNPRIVILEGED_PORT = 1024;

/**
 * Whether a client may have a port. Systems give no client a port below 1024 unless it asks for one, and neither do
 * routers that translate addresses. A datagram from such a port comes from a service (echo, chargen, time, DNS, NTP),
 * or with a spoofed sender, so that server and service answer each other. Nobody has port 0, so no answer gets there.
 */
export function isClientPort(port: number): boolean {
  return port >= FIRST_UNPRIVILEGED_PORT;
}
