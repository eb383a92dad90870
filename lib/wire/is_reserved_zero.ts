/** Whether all reserved bytes of a range request are zero. If not, the datagram is no request, and gets no answer. */
export function isReservedZero(request: DataView): boolean {
  const word = request.getUint32(0) & 0x00ffffff;
  return (word | request.getUint32(16) | request.getUint32(20) | request.getUint32(24) | request.getUint32(28)) === 0;
}
