/**
 * The messages of FUSE, as far as a read-only tree needs them.
 *
 * Source: include/uapi/linux/fuse.h of Linux 6.18, protocol 7.45. All numbers are little
 * endian. A request has 40 bytes of header: length u32 at 0, opcode u32 at 4, unique u64 at 8,
 * node u64 at 16. A reply has 16: length u32, minus the error i32, unique u64.
 */
import type { ImageIndex } from "../store/index.ts";

export const REQUEST_HEADER_BYTES = 40;
export const REPLY_HEADER_BYTES = 16;
export const ATTR_BYTES = 88;
export const ENTRY_BYTES = 128;
export const DIRENT_BYTES = 24;

export const OPCODE = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  readlink: 5,
  read: 15,
  statfs: 17,
  getxattr: 22,
  listxattr: 23,
  init: 26,
  interrupt: 36,
  destroy: 38,
  ioctl: 39,
  batchForget: 42,
  readdirplus: 44,
} as const;

export const ERRNO = {
  EIO: 5,
  ENOTDIR: 20,
  EINVAL: 22,
  ERANGE: 34,
  ENOSYS: 38,
  ENODATA: 61,
} as const;

/** Largest answer to a READ, and the write limit that the kernel is told. */
export const READ_BYTES_MAX = 1_024 * 1_024;
/** The kernel refuses buffers below `max_write` and two headers. */
export const REQUEST_BYTES_MAX = READ_BYTES_MAX + 4_096;

/** Everything is immutable: the kernel may keep it for a day, and ask again then. */
const VALID_SECONDS = 86_400;
const INIT_OUT_BYTES = 64;
const PROTOCOL_MINOR = 40;
/**
 * What Linux reads of a file around where it is mapped, and ahead where it is read in order.
 * Libraries are mapped and used here and there: with 1 MiB, a start fetched twice as much, and
 * reading in order was no faster (docs/decisions/0021).
 */
const READAHEAD_BYTES = 128 * 1_024;
const MAX_PAGES = 256;
const MAX_BACKGROUND = 64;
const CONGESTION = 48;

/**
 * What the kernel may do: ASYNC_READ 0, BIG_WRITES 5, DO_READDIRPLUS 13, NO_OPEN_SUPPORT 17,
 * PARALLEL_DIROPS 18, ABORT_ERROR 21, MAX_PAGES 22, CACHE_SYMLINKS 23, NO_OPENDIR_SUPPORT 24,
 * EXPLICIT_INVAL_DATA 25, INIT_EXT 30 (bits).
 */
const WANTED_FLAGS = 0x43_e6_20_21;

/** Writes the header of a reply of `byteCount` bytes in all. */
export function writeReplyHeader(
  reply: Buffer,
  byteCount: number,
  error: number,
  uniqueLow: number,
  uniqueHigh: number,
): number {
  reply.writeUInt32LE(byteCount, 0);
  reply.writeInt32LE(-error, 4);
  reply.writeUInt32LE(uniqueLow, 8);
  reply.writeUInt32LE(uniqueHigh, 12);
  return byteCount;
}

/** Writes the answer to INIT after the header; gives the length of the reply. */
export function writeInit(request: Buffer, reply: Buffer): number {
  const minor = request.readUInt32LE(44);
  const readahead = request.readUInt32LE(48);
  const offered = request.readUInt32LE(52);
  const at = REPLY_HEADER_BYTES;
  reply.fill(0, at, at + INIT_OUT_BYTES);
  reply.writeUInt32LE(7, at);
  reply.writeUInt32LE(Math.min(minor, PROTOCOL_MINOR), at + 4);
  reply.writeUInt32LE(Math.min(readahead, READAHEAD_BYTES), at + 8);
  reply.writeUInt32LE((WANTED_FLAGS & offered) >>> 0, at + 12);
  reply.writeUInt16LE(MAX_BACKGROUND, at + 16);
  reply.writeUInt16LE(CONGESTION, at + 18);
  reply.writeUInt32LE(READ_BYTES_MAX, at + 20);
  reply.writeUInt32LE(1, at + 24);
  reply.writeUInt16LE(MAX_PAGES, at + 28);
  return at + INIT_OUT_BYTES;
}

/** Writes a `fuse_attr` at `at`. Nodes are inodes plus one: the root of FUSE is 1. */
export function writeAttr(index: ImageIndex, inode: number, reply: Buffer, at: number): void {
  const size = index.size(inode);
  const seconds = index.mtimeSeconds(inode);
  const low = seconds >>> 0;
  const high = Math.floor(seconds / 2 ** 32) >>> 0;
  const ns = index.mtimeNs(inode);
  reply.writeUInt32LE(inode + 1, at);
  reply.writeUInt32LE(0, at + 4);
  writeUInt64(reply, size, at + 8);
  writeUInt64(reply, Math.ceil(size / 512), at + 16);
  for (const field of [24, 32, 40]) {
    reply.writeUInt32LE(low, at + field);
    reply.writeUInt32LE(high, at + field + 4);
  }
  for (const field of [48, 52, 56]) reply.writeUInt32LE(ns, at + field);
  reply.writeUInt32LE(index.mode(inode), at + 60);
  reply.writeUInt32LE(index.links(inode), at + 64);
  reply.writeUInt32LE(index.uid(inode), at + 68);
  reply.writeUInt32LE(index.gid(inode), at + 72);
  reply.writeUInt32LE(index.device(inode), at + 76);
  reply.writeUInt32LE(4_096, at + 80);
  reply.writeUInt32LE(0, at + 84);
}

/** Writes a `fuse_entry_out` at `at`; inode -1 is a name that is not there, to be remembered. */
export function writeEntry(index: ImageIndex, inode: number, reply: Buffer, at: number): void {
  reply.fill(0, at, at + ENTRY_BYTES);
  reply.writeUInt32LE(VALID_SECONDS, at + 16);
  if (inode < 0) return;
  reply.writeUInt32LE(inode + 1, at);
  reply.writeUInt32LE(VALID_SECONDS, at + 24);
  writeAttr(index, inode, reply, at + 40);
}

/** Writes a `fuse_attr_out` after the header; gives the length of the reply. */
export function writeGetattr(index: ImageIndex, inode: number, reply: Buffer): number {
  const at = REPLY_HEADER_BYTES;
  writeUInt64(reply, VALID_SECONDS, at);
  writeUInt64(reply, 0, at + 8);
  writeAttr(index, inode, reply, at + 16);
  return at + 16 + ATTR_BYTES;
}

/** Writes a `fuse_kstatfs` after the header: a full, read-only file system. */
export function writeStatfs(index: ImageIndex, reply: Buffer): number {
  const at = REPLY_HEADER_BYTES;
  reply.fill(0, at, at + 80);
  let bytes = 0;
  for (let chunk = 0; chunk < index.chunkCount; chunk += 1) bytes += index.chunkBytes(chunk);
  writeUInt64(reply, Math.ceil(bytes / 4_096), at);
  writeUInt64(reply, index.inodeCount, at + 24);
  reply.writeUInt32LE(4_096, at + 40);
  reply.writeUInt32LE(255, at + 44);
  reply.writeUInt32LE(4_096, at + 48);
  return at + 80;
}

/** A whole number up to 2^53 as u64. */
export function writeUInt64(reply: Buffer, value: number, at: number): void {
  reply.writeUInt32LE(value % 2 ** 32, at);
  reply.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

/** A u64 that is a whole number up to 2^53; larger ones lose their last digits. */
export function readUInt64(request: Buffer, at: number): number {
  return request.readUInt32LE(at) + request.readUInt32LE(at + 4) * 2 ** 32;
}
