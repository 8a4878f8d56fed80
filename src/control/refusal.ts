// Why a control request is not done, and how that is said in HTTP.

/** Thrown inside a request's handling; never leaves src/control. */
export class Refusal extends Error {
  readonly status: number
  /** Methods that the path has, for 405. */
  readonly allow: string | undefined

  constructor(status: number, message: string, allow?: string) {
    super(message)
    this.status = status
    this.allow = allow
  }
}
