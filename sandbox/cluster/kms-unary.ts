/** Async functions as gRPC handlers. */
import { status, type handleUnaryCall, type ServiceError } from '@grpc/grpc-js';
import { messageOf } from '../message-of';

/** Failures are UNKNOWN with the error's text, which is what a plain Go error gives. */
export function unary<Request, Response>(
  answer: (request: Request) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    answer(call.request).then(
      (response) => callback(null, response),
      (error: unknown) => {
        const failed: Partial<ServiceError> = { code: status.UNKNOWN, details: messageOf(error) };
        callback(failed);
      },
    );
  };
}
