/** Options of every call to Azure. */
export interface CallOptions {
  readonly abortSignal?: AbortSignal;
}
