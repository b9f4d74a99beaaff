/** The file of the notice key: made where it is missing, read only while nobody else can read it. */
import { existsSync } from "node:fs";
import { NoticeError, NoticeSecrets } from "../../notices/index.js";
import { CliError } from "../errors.js";
import { readPrivate, writeNew } from "../keys/private-file.js";

/**
 * @param file path; made with a fresh key when it is not there
 * @throws CliError `keyFileExposed`, `keyFileUnreadable`, `keyFileInvalid`; the file system's errors when it can't be made
 */
export function openSecrets(file: string): NoticeSecrets {
  if (!existsSync(file)) {
    try {
      writeNew(file, NoticeSecrets.newKey());
    } catch (error) {
      // Another command was quicker.
      if (!(error instanceof CliError && error.code === "fileExists")) throw error;
    }
  }
  try {
    return new NoticeSecrets(readPrivate(file));
  } catch (error) {
    if (!(error instanceof NoticeError)) throw error;
    throw new CliError(
      "keyFileInvalid",
      `${file}: ${error.message}`,
      "restore the backup; without it miners' receivers must be added anew",
      {
        cause: error,
      },
    );
  }
}
