import { newPinned } from "./pinned.ts";

/**
 * Reads of all sockets of this thread land here: each is handed on, as a lent range, before the next
 * one begins. So an idle connection holds no read buffer.
 */
export const READ_BUFFER: Buffer = newPinned(65_536);
