/**
 * The byte order that `DataView` is told for numbers of the kernel: little-endian, as all machines that Deno runs on.
 * Copies in 32-bit words use it too, since there it costs nothing.
 */
export const LITTLE_ENDIAN = true;
