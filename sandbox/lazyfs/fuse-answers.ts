/**
 * Answers the kernel's requests about one image, without waiting for anything.
 *
 * What the kernel may remember it is told to: names that are there and that are not, attributes,
 * links, contents. OPEN and OPENDIR are answered with ENOSYS, after which it never asks again.
 */
import {
  isGivenXattr,
  readXattrs,
  S_IFDIR,
  S_IFLNK,
  type ImageIndex,
  type Xattr,
} from "../store/index.ts";
import {
  DIRENT_BYTES,
  ENTRY_BYTES,
  ERRNO,
  OPCODE,
  READ_BYTES_MAX,
  readUInt64,
  REPLY_HEADER_BYTES,
  REQUEST_HEADER_BYTES,
  writeEntry,
  writeGetattr,
  writeInit,
  writeReplyHeader,
  writeStatfs,
  writeUInt64,
} from "./fuse-protocol.ts";
import { copyRead, piecesOf, readOf, type ChunkBytes } from "./read-file.ts";
import type { WarmHints } from "./warm-hints.ts";

/** The request wants no reply. */
export const NO_REPLY = 0;
/** The chunks of a read are not at hand: somebody else replies, later. */
export const LATER = -1;

/** Room for the largest reply. */
export const ANSWER_BYTES_MAX = READ_BYTES_MAX + REPLY_HEADER_BYTES;

const DOT = Buffer.from(".");
const DOTS = Buffer.from("..");

/** Answers requests into a buffer of its own. */
export class FuseAnswers {
  /** The last answer; its length is what `answer` gave. */
  readonly reply = Buffer.alloc(ANSWER_BYTES_MAX);
  readonly #index: ImageIndex;
  readonly #bytesOf: ChunkBytes;
  readonly #hasXattrs: boolean;
  readonly #hints: WarmHints | undefined;

  constructor(index: ImageIndex, bytesOf: ChunkBytes, hints?: WarmHints) {
    this.#index = index;
    this.#hints = hints;
    this.#bytesOf = bytesOf;
    this.#hasXattrs = anyXattrs(index);
  }

  /** Answers one request; gives the length of the reply, `NO_REPLY` or `LATER`. */
  answer(request: Buffer, byteCount: number): number {
    const opcode = request.readUInt32LE(4);
    if (opcode === OPCODE.forget || opcode === OPCODE.batchForget) return NO_REPLY;
    if (opcode === OPCODE.interrupt) return NO_REPLY;
    const result = this.#answer(opcode, request, byteCount);
    if (result === LATER) return LATER;
    const low = request.readUInt32LE(8);
    const high = request.readUInt32LE(12);
    if (result < 0) return writeReplyHeader(this.reply, REPLY_HEADER_BYTES, -result, low, high);
    return writeReplyHeader(this.reply, result, 0, low, high);
  }

  /** Length of the reply, `LATER`, or minus the error below that. */
  #answer(opcode: number, request: Buffer, byteCount: number): number {
    switch (opcode) {
      case OPCODE.init:
        return writeInit(request, this.reply);
      case OPCODE.destroy:
        return REPLY_HEADER_BYTES;
      case OPCODE.statfs:
        return writeStatfs(this.#index, this.reply);
      default:
        return this.#answerAbout(request.readUInt32LE(16) - 1, opcode, request, byteCount);
    }
  }

  #answerAbout(inode: number, opcode: number, request: Buffer, byteCount: number): number {
    const index = this.#index;
    if (inode < 0 || inode >= index.inodeCount) return -ERRNO.EINVAL;
    switch (opcode) {
      case OPCODE.lookup:
        return this.#lookup(inode, request, byteCount);
      case OPCODE.getattr:
        return writeGetattr(index, inode, this.reply);
      case OPCODE.read:
        return this.#read(inode, request);
      case OPCODE.readdirplus:
        return this.#readFolder(inode, request);
      case OPCODE.readlink:
        return this.#readLink(inode);
      case OPCODE.getxattr:
        return this.#getXattr(inode, request);
      case OPCODE.listxattr:
        return this.#listXattrs(inode, request);
      default:
        return -ERRNO.ENOSYS;
    }
  }

  #lookup(folder: number, request: Buffer, byteCount: number): number {
    const name = request.subarray(REQUEST_HEADER_BYTES, byteCount - 1);
    const found = this.#index.lookup(folder, name);
    this.#hints?.looked(folder);
    writeEntry(this.#index, found, this.reply, REPLY_HEADER_BYTES);
    return REPLY_HEADER_BYTES + ENTRY_BYTES;
  }

  #read(inode: number, request: Buffer): number {
    const offset = readUInt64(request, 48);
    const wanted = Math.min(request.readUInt32LE(56), READ_BYTES_MAX);
    const read = readOf(this.#index, inode, offset, wanted);
    const index = this.#index;
    const isWhole = copyRead(index, read, this.#bytesOf, this.reply, REPLY_HEADER_BYTES);
    if (this.#hints !== undefined && isWhole && read.byteCount < index.layout.pieceBytes) {
      for (const { chunk } of piecesOf(index, read)) this.#hints.used(chunk);
    }
    return isWhole ? REPLY_HEADER_BYTES + read.byteCount : LATER;
  }

  /** Entries from an offset on, as many as fit; entry number n has the offset n + 1. */
  #readFolder(folder: number, request: Buffer): number {
    const index = this.#index;
    if (index.type(folder) !== S_IFDIR) return -ERRNO.ENOTDIR;
    this.#hints?.listed(folder);
    const start = readUInt64(request, 48);
    const end = REPLY_HEADER_BYTES + Math.min(request.readUInt32LE(56), READ_BYTES_MAX);
    const first = index.first(folder);
    const count = index.count(folder) + 2;
    let at = REPLY_HEADER_BYTES;
    for (let position = start; position < count; position += 1) {
      const isDots = position < 2;
      const entry = first + position - 2;
      const name = isDots ? ([DOT, DOTS][position] ?? DOT) : index.entryName(entry);
      const byteCount = Math.ceil((ENTRY_BYTES + DIRENT_BYTES + name.byteLength) / 8) * 8;
      if (at + byteCount > end) break;
      const dots = position === 0 ? folder : index.parent(folder);
      this.#writeEntry({
        inode: isDots ? dots : index.entryInode(entry),
        isDots,
        name,
        position,
        at,
      });
      at += byteCount;
    }
    return at;
  }

  #writeEntry(entry: {
    readonly inode: number;
    readonly isDots: boolean;
    readonly name: Uint8Array;
    readonly position: number;
    readonly at: number;
  }): void {
    const { inode, isDots, name, position, at } = entry;
    const { reply } = this;
    // Node 0: the kernel takes the name from here and asks for nothing else about it.
    if (isDots) reply.fill(0, at, at + ENTRY_BYTES);
    else writeEntry(this.#index, inode, reply, at);
    const dirent = at + ENTRY_BYTES;
    writeUInt64(reply, inode + 1, dirent);
    writeUInt64(reply, position + 1, dirent + 8);
    reply.writeUInt32LE(name.byteLength, dirent + 16);
    reply.writeUInt32LE(this.#index.type(inode) >>> 12, dirent + 20);
    reply.set(name, dirent + DIRENT_BYTES);
    const end = dirent + DIRENT_BYTES + name.byteLength;
    reply.fill(0, end, Math.ceil(end / 8) * 8);
  }

  #readLink(inode: number): number {
    if (this.#index.type(inode) !== S_IFLNK) return -ERRNO.EINVAL;
    const target = this.#index.linkTarget(inode);
    this.reply.set(target, REPLY_HEADER_BYTES);
    return REPLY_HEADER_BYTES + target.byteLength;
  }

  #getXattr(inode: number, request: Buffer): number {
    if (!this.#hasXattrs) return -ERRNO.ENOSYS;
    const room = request.readUInt32LE(REQUEST_HEADER_BYTES);
    const nameAt = REQUEST_HEADER_BYTES + 8;
    const name = request.toString("utf8", nameAt, request.indexOf(0, nameAt));
    const found = this.#xattrs(inode).find((xattr) => xattr.name === name);
    return found === undefined ? -ERRNO.ENODATA : this.#sized(found.value, room);
  }

  #listXattrs(inode: number, request: Buffer): number {
    if (!this.#hasXattrs) return -ERRNO.ENOSYS;
    const names = this.#xattrs(inode).map(({ name }) => `${name}\0`);
    return this.#sized(Buffer.from(names.join("")), request.readUInt32LE(REQUEST_HEADER_BYTES));
  }

  #xattrs(inode: number): readonly Xattr[] {
    return givenXattrs(this.#index, inode);
  }

  /** The bytes, or only how many there are when no room is offered. */
  #sized(bytes: Uint8Array, room: number): number {
    if (room === 0) {
      writeUInt64(this.reply, bytes.byteLength, REPLY_HEADER_BYTES);
      return REPLY_HEADER_BYTES + 8;
    }
    if (bytes.byteLength > room) return -ERRNO.ERANGE;
    this.reply.set(bytes, REPLY_HEADER_BYTES);
    return REPLY_HEADER_BYTES + bytes.byteLength;
  }
}

function anyXattrs(index: ImageIndex): boolean {
  for (let inode = 0; inode < index.inodeCount; inode += 1) {
    if (givenXattrs(index, inode).length > 0) return true;
  }
  return false;
}

function givenXattrs(index: ImageIndex, inode: number): readonly Xattr[] {
  const bytes = index.xattrBytes(inode);
  if (bytes.byteLength === 0) return [];
  return (readXattrs(bytes) ?? []).filter(({ name }) => isGivenXattr(name));
}
