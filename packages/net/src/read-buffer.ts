/**
 * Reads of all sockets of this thread land here: each is handed on, as a lent range, before the next
 * one begins. So an idle connection holds no read buffer. In an ArrayBuffer of its own, whose address
 * never changes.
 */
export const READ_BUFFER: Buffer = Buffer.from(new ArrayBuffer(65_536));
