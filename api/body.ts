/** Reading request bodies: JSON of 64 kB at most. */
import express, { type Request, type RequestHandler, type Response } from 'express';
import { ApiError } from './problem';

const LIMIT_IN_BYTES = 64 * 1024;

/** Reads the body of a request. A body that was not sent is `{}`. */
export type ReadBody = (request: Request, response: Response) => Promise<unknown>;

/** Makes the reader. What it returns rejects with `ApiError`: UnsupportedMediaType, BodyTooLarge or NotJson. */
export function bodyReader(): ReadBody {
  // Not strict: `"text"` is JSON, and the schema can say better than a parser what was expected.
  const json = express.json({ limit: LIMIT_IN_BYTES, type: () => true, strict: false });
  return async (request, response) => {
    if (!hasBody(request)) return {};
    if (!isJson(request)) {
      throw new ApiError({ code: 'UnsupportedMediaType', detail: 'Send the body as application/json in UTF-8.' });
    }
    try {
      await run(json, request, response);
    } catch (error) {
      throw refusal(error);
    }
    return request.body as unknown;
  };
}

/** Runs one express middleware to its end. */
export function run(middleware: RequestHandler, request: Request, response: Response): Promise<void> {
  return new Promise((resolve, reject) => {
    const next = (error?: unknown): void => {
      if (error === undefined || error === null) resolve();
      else reject(error instanceof Error ? error : new Error('A middleware failed without an error.'));
    };
    Promise.resolve(middleware(request, response, next)).catch(next);
  });
}

function hasBody(request: Request): boolean {
  return request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
}

function isJson(request: Request): boolean {
  return request.is(['application/json', 'application/*+json']) !== false;
}

/** body-parser's errors carry a `type`: https://expressjs.com/en/resources/middleware/body-parser.html#errors */
function refusal(error: unknown): unknown {
  const type = error instanceof Error && 'type' in error ? error.type : undefined;
  switch (type) {
    case 'entity.too.large':
      return new ApiError(
        { code: 'BodyTooLarge', detail: `The body is larger than ${LIMIT_IN_BYTES / 1024} kB.` },
        { cause: error },
      );
    case 'entity.parse.failed':
    case 'request.size.invalid':
    case 'request.aborted':
      return new ApiError(
        { code: 'NotJson', detail: 'The body cannot be read as one JSON document.' },
        { cause: error },
      );
    case 'charset.unsupported':
    case 'encoding.unsupported':
      return new ApiError(
        {
          code: 'UnsupportedMediaType',
          detail: 'Send the body in UTF-8, plain or with Content-Encoding gzip, deflate or br.',
        },
        { cause: error },
      );
    default:
      // A compressed body that is damaged ends here, as an error of zlib.
      if (error instanceof Error && 'status' in error && error.status === 400) {
        return new ApiError(
          { code: 'NotJson', detail: 'The body cannot be read as one JSON document.' },
          { cause: error },
        );
      }
      return error;
  }
}
