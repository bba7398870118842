/** Why a photograph has no score: the codes of the Python library's rows. */
export type ErrorCode = "empty" | "unsupported" | "corrupt" | "too_large" | "not_finite";

/** One photograph cannot be scored. */
export class ImageError extends Error {
  override readonly name = "ImageError";

  constructor(
    /** A stable word for the reason. */
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The model is missing, damaged or of another kind. */
export class ModelError extends Error {
  override readonly name = "ModelError";
}
