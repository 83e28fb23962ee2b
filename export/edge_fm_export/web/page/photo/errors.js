/** A photo that cannot be read here, and what to do. */
export class PhotoError extends Error {
  constructor(message, hint = "Save it anew as JPEG or PNG.") {
    super(hint ? `${message} ${hint}` : message);
    this.name = "PhotoError";
  }
}
