/**
 * Arrays of several dimensions, as numpy has them: what a typed array lacks to be one.
 *
 * A typed array is an array of one dimension, so those travel as they are. Everything else of
 * numpy (more dimensions, none, truth values, complex numbers) is an `NdArray`.
 */
import { SerializationError } from "./serialization-error.ts";

/**
 * Element types and the typed array that holds each; the position is the byte on the wire, so
 * only add at the end. Truth values are 0 and 1; complex numbers are a real and an imaginary
 * part, one after the other.
 */
export const DTYPES = [
  { dtype: "bool", view: "Uint8Array", bytes: 1, parts: 1 },
  { dtype: "int8", view: "Int8Array", bytes: 1, parts: 1 },
  { dtype: "uint8", view: "Uint8Array", bytes: 1, parts: 1 },
  { dtype: "int16", view: "Int16Array", bytes: 2, parts: 1 },
  { dtype: "uint16", view: "Uint16Array", bytes: 2, parts: 1 },
  { dtype: "int32", view: "Int32Array", bytes: 4, parts: 1 },
  { dtype: "uint32", view: "Uint32Array", bytes: 4, parts: 1 },
  { dtype: "int64", view: "BigInt64Array", bytes: 8, parts: 1 },
  { dtype: "uint64", view: "BigUint64Array", bytes: 8, parts: 1 },
  { dtype: "float16", view: "Float16Array", bytes: 2, parts: 1 },
  { dtype: "float32", view: "Float32Array", bytes: 4, parts: 1 },
  { dtype: "float64", view: "Float64Array", bytes: 8, parts: 1 },
  { dtype: "complex64", view: "Float32Array", bytes: 4, parts: 2 },
  { dtype: "complex128", view: "Float64Array", bytes: 8, parts: 2 },
] as const;

/** The type of an array's elements, by numpy's name. */
export type NdArrayDtype = (typeof DTYPES)[number]["dtype"];

/** A typed array that can hold the elements of an `NdArray`; all but DataView. */
export interface NdArrayData extends ArrayBufferView {
  readonly length: number;
  readonly BYTES_PER_ELEMENT: number;
}

/** Most dimensions; numpy's own limit (numpy 2.0 release notes). */
export const DIMENSIONS_MAX = 64;

/**
 * An array with a shape: its elements row by row (C order) in a typed array.
 *
 * A Python function gets it as a `numpy.ndarray` of the same `dtype` and `shape`, and one that
 * gives back an `ndarray` of other than one dimension gives an `NdArray`.
 *
 * @example
 * const image = new NdArray(new Uint8Array(480 * 640 * 3), [480, 640, 3]);
 * const mask = await segment.remote(image); // mask.shape, mask.dtype, mask.data
 */
export class NdArray<Data extends NdArrayData = NdArrayData> {
  readonly data: Data;
  readonly shape: readonly number[];
  readonly dtype: NdArrayDtype;

  /**
   * @param data Elements row by row; a view, not copied.
   * @param shape Length of each dimension; the last one changes fastest. Empty: one element.
   * @param dtype By default that of `data`; needed for `bool` and the complex types.
   * @throws SerializationError when the three do not fit together.
   */
  constructor(data: Data, shape: readonly number[], dtype?: NdArrayDtype) {
    this.data = data;
    this.shape = [...shape];
    this.dtype = dtype ?? dtypeOf(data);
    const problem = faultOf(this);
    if (problem !== undefined) throw new SerializationError(problem);
  }

  /** By this the codec knows it, whichever copy of this package made it. */
  get [Symbol.toStringTag](): string {
    return "NdArray";
  }
}

/** What is wrong with an array, also with one that another copy of this package made. */
export function faultOf(array: NdArray): string | undefined {
  const { data, dtype } = array;
  const shape: readonly number[] = array.shape;
  const known = DTYPES.find((one) => one.dtype === dtype);
  if (known === undefined) return `an NdArray has no dtype "${dtype}"`;
  if (viewNameOf(data) !== known.view) {
    return `an NdArray of ${dtype} holds a ${known.view}, not a ${viewNameOf(data)}`;
  }
  const isShape = shape.length <= DIMENSIONS_MAX && shape.every(isLength);
  if (!isShape)
    return `an NdArray's shape is at most ${DIMENSIONS_MAX} whole numbers of at least 0`;
  const elements = shape.reduce((product, length) => product * length, known.parts);
  if (elements === data.length) return undefined;
  return `an NdArray of ${dtype} with shape [${shape.join(", ")}] has ${elements} numbers, got ${data.length}`;
}

function dtypeOf(data: NdArrayData): NdArrayDtype {
  const name = viewNameOf(data);
  const known = DTYPES.find((one) => one.view === name && one.dtype !== "bool");
  if (known !== undefined) return known.dtype;
  throw new SerializationError(`an NdArray holds a typed array of numbers, not a ${name}`);
}

function viewNameOf(data: unknown): string {
  return Object.prototype.toString.call(data).slice("[object ".length, -1);
}

function isLength(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
