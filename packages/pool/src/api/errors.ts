/** What a caller of the API did wrong, or can't have: a stable code, told as JSON `{ error: { code, message, request } }`. */

export type ApiErrorCode =
  | "badRequest"
  | "hostNotAllowed"
  | "notFound"
  | "methodNotAllowed"
  | "bodyNotAllowed"
  | "headersTooLarge"
  | "requestTimeout"
  | "tooManyRequests"
  | "internal";

/** An answer that is an error. `message` is for people, and never holds what only the pool should know. */
export class ApiError extends Error {
  override readonly name: string = "ApiError";

  constructor(
    readonly code: ApiErrorCode,
    /** HTTP status. */
    readonly statusCode: number,
    message: string,
  ) {
    super(message);
  }
}

/** The API can't have its address or port; `cause` has the system's error. */
export class ApiListenError extends Error {
  override readonly name: string = "ApiListenError";
  readonly code = "apiListen";
}
