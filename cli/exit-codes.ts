/** The exit codes of `keyturn`, for scripts. docs/cli.md has them; a test compares. */
export const ExitCode = {
  /** Done. For an operation that was followed: it Succeeded. */
  Ok: 0,
  /** Refused, or failed: the API said no, the operation ended Failed or Canceled, or evidence does not hold. */
  Refused: 1,
  /** The command was called in a wrong way. */
  Usage: 2,
  /** There is no such operation, cluster, or evidence. */
  NotFound: 3,
  /** No token, a token that is not accepted, or a role that is missing. */
  NotAuthorized: 4,
  /** The API, Temporal, a worker, or Azure does not answer. The same command may succeed later. */
  Unavailable: 5,
  /** The operation waits for people: it is blocked, or waits for approval. */
  WaitsForPeople: 6,
  /** `--timeout` has passed, and the operation goes on. */
  TimedOut: 7,
  /** Ctrl-C ended the command; the operation goes on. What shells report. */
  Interrupted: 130,
} as const;
/** One of them. */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** A command cannot go on: what it says, and its exit code. */
export class CommandFailed extends Error {
  constructor(
    message: string,
    readonly exitCode: ExitCode,
    /** What the API answered, for `--output json`. */
    readonly problem?: unknown,
  ) {
    super(message);
    this.name = 'CommandFailed';
  }
}

/** Codes of the API that say that something does not exist, whatever their HTTP status. */
const NOT_FOUND = new Set(['ClusterNotFound', 'NoRefusedSecrets', 'OperationNotFound', 'RouteNotFound']);

/** The exit code for an answer of the API that is no success. */
export function exitCodeOf(status: number, code: string): ExitCode {
  if (status === 404 || NOT_FOUND.has(code)) return ExitCode.NotFound;
  if (status === 401 || status === 403) return ExitCode.NotAuthorized;
  if (status >= 500 || code === 'RateLimited') return ExitCode.Unavailable;
  return status === 400 ? ExitCode.Usage : ExitCode.Refused;
}
