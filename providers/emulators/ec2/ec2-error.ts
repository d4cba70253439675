/** An answer that EC2 gives as an error document. */
export class Ec2Error extends Error {
  override readonly name = "Ec2Error";
  /** EC2's own code, such as `InsufficientInstanceCapacity`. */
  readonly code: string;
  /** HTTP status. */
  readonly status: number;

  constructor(code: string, message: string, status = 400) {
    super(message);
    this.code = code;
    this.status = status;
  }
}
